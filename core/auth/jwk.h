#pragma once

/*
 * One key of a JWKS (RFC 7517, RFC 7518 6, RFC 8037 2).
 *
 * Threads: any.
 */

#include <jansson.h>

#include "core/auth/key.h"

enum jwk_result {
    JWK_OK,
    JWK_SKIPPED, /* for encryption, or of a kind or algorithm that is not taken here */
    JWK_BROKEN,
};

/* JWK_OK: `out` is the caller's, for key_fini. JWK_BROKEN: the reason is in `why` (a constant). */
enum jwk_result jwk_read(const json_t *jwk, struct key *out, const char **why);
