#pragma once

/*
 * Tokens (EVENTS: tokens): whether one is good, and who its user is.
 *
 *     token ─▶ jws (form) ─▶ key_set (signature) ─▶ claims (who, until when) ─▶ user
 *
 * Nothing of the payload is read before the signature was found to be good.
 *
 * Threads: create, tick, destroy: the main thread. check: any, at the same time.
 * Owns: the keys.
 */

#include <stdint.h>

#include "core/auth/key_set.h"
#include "core/auth/user.h"
#include "core/base/err.h"
#include "core/base/slice.h"

struct auth;

/* Texts are borrowed until auth_destroy. */
struct auth_opts {
    const char *secret;    /* for HMAC; NULL: none */
    const char *keys_path; /* a PEM public key or a JWKS; NULL: none */
    const char *issuer;    /* NULL: any */
    const char *audience;  /* NULL: any */
};

/* NULL, with a sentence about the file of keys in `why`, when that has no good keys. */
struct auth *auth_create(const struct auth_opts *opts, char why[KEY_WHY_SIZE]);
/* Takes NULL. */
void auth_destroy(struct auth *auth);

/* Reads a changed file of keys. Call it every second or so. */
void auth_tick(struct auth *auth, uint64_t monotonic_ms);

/* The user of a good token, with a count for the caller. ERR_INVALID or ERR_NOMEM: `fault` says
 * what is wrong, and never repeats anything of the token. */
MUST_USE enum err auth_check(struct auth *auth, struct slice token, uint64_t wall_ms,
                             struct user **out, struct fault *fault);
