#pragma once

/*
 * One key that a token's signature is checked with. The key decides which algorithms it takes, so
 * that nobody can have a public key used as a secret:
 *
 *     a secret       HS256, HS384, HS512
 *     RSA, 2048+     RS256, RS384, RS512, PS256
 *     EC P-256       ES256
 *     EC P-384       ES384
 *     Ed25519        EdDSA
 *
 * Threads: key_verify: any, at the same time. All else: whoever makes the key.
 * Owns: its OpenSSL object, its secret, its kid.
 */

#include <openssl/evp.h>
#include <stdbool.h>

#include "core/auth/alg.h"
#include "core/base/err.h"
#include "core/base/slice.h"

enum {
    KEY_SECRET_STRONG = 32, /* bytes; RFC 7518 3.2: no shorter than the hash of HS256 */
    KEY_RSA_BITS_MIN = 2048,
    KEY_RSA_BITS_MAX = 8192, /* more only costs time */
};

struct key {
    char *kid;     /* NULL: fits every token */
    unsigned algs; /* alg_bit of each that it takes */
    EVP_PKEY *public_key;
    char *secret; /* when there is no public key */
    size_t secret_len;
};

/* A key for HMAC. */
void key_init_secret(struct key *key, struct slice secret);

/*
 * Takes the OpenSSL key, on failure too. ERR_INVALID: no kind of key for a token, with the reason
 * in `why` (a constant).
 */
MUST_USE enum err key_init_public(struct key *key, EVP_PKEY *public_key, const char **why);

/* Wipes the secret. */
void key_fini(struct key *key);

/* Whether the key takes this algorithm, and the signature over `text` is this key's. */
bool key_verify(const struct key *key, enum alg alg, struct slice text, struct slice signature);
