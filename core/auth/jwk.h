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
    JWK_SKIPPED,  /* for encryption, or for an algorithm that is not taken here */
    JWK_UNUSABLE, /* of a kind that is not taken here, or broken */
    JWK_REFUSED,  /* nothing that may stand in a file of public keys */
};

/* JWK_OK: `out` is the caller's, for key_fini. JWK_UNUSABLE, JWK_REFUSED: the reason is in `why` (a
 * constant). */
enum jwk_result jwk_read(const json_t *jwk, struct key *out, const char **why);

/* Its kid; NULL: it has none, or one that is no kid. As long as the JWK. */
const char *jwk_kid(const json_t *jwk);
