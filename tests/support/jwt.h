#pragma once

/*
 * Makes keys and signs tokens, good ones and others, for tests.
 *
 * Threads: any.
 */

#include <openssl/evp.h>

#include "core/auth/alg.h"
#include "core/base/buf.h"
#include "tests/support/base64url.h"

#define JWT_SECRET "a secret of more than thirty-two bytes"

/* A new key that this algorithm signs with; the caller frees it. */
EVP_PKEY *jwt_make_key(enum alg alg);
/* With so many bits. */
EVP_PKEY *jwt_make_rsa_key(unsigned bits);

/* Appends the signature's bytes over `text`; HMAC takes JWT_SECRET and no key. */
void jwt_append_signature(struct buf *out, enum alg alg, EVP_PKEY *key, struct slice text);

/* Appends a whole token of these two texts. */
void jwt_append(struct buf *out, enum alg alg, EVP_PKEY *key, const char *header,
                const char *payload);

/* Appends the public key in PEM, and as one entry of a JWKS; `more` are further members of it, such
 * as ",\"kid\":\"a\"". */
void jwt_append_pem(struct buf *out, EVP_PKEY *key);
void jwt_append_jwk(struct buf *out, EVP_PKEY *key, const char *more);
