#pragma once

/*
 * What a token says, once its signature was found to be good: the claims are checked one by one,
 * and become a user (RFC 7519 4; EVENTS: tokens, rooms by right).
 *
 * Threads: any; nothing is kept.
 */

#include <stdint.h>

#include "core/auth/user.h"
#include "core/base/err.h"
#include "core/base/slice.h"

struct claims_opts {
    const char *issuer;   /* NULL: any */
    const char *audience; /* NULL: any */
    uint64_t now_ms;      /* clock_wall_ms */
};

/* ERR_INVALID or ERR_NOMEM with the reason in `why` (a constant); ERR_OK: a count for the caller.
 */
MUST_USE enum err claims_read(struct slice json, const struct claims_opts *opts, struct user **out,
                              const char **why);
