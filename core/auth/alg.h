#pragma once

/*
 * The signatures that a token may bear (RFC 7518 3.1, RFC 8037 3.1). `none` is not among them.
 *
 * Threads: any; constants.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/slice.h"

enum alg {
    ALG_HS256,
    ALG_HS384,
    ALG_HS512,
    ALG_RS256,
    ALG_RS384,
    ALG_RS512,
    ALG_PS256,
    ALG_ES256,
    ALG_ES384,
    ALG_EDDSA,
    ALGS, /* how many there are */
};

enum alg_kind {
    ALG_HMAC,
    ALG_RSA,     /* PKCS #1 v1.5 */
    ALG_RSA_PSS, /* a salt as long as the hash */
    ALG_ECDSA,   /* r and s side by side */
    ALG_ED25519,
};

struct alg_info {
    const char *name; /* as "alg" has it */
    enum alg_kind kind;
    const char *digest;     /* OpenSSL's name for the hash; NULL: the signature's own business */
    size_t signature_bytes; /* 0: as many as the key's modulus */
};

const struct alg_info *alg_info(enum alg alg);

/* Names are compared exactly. */
bool alg_parse(struct slice name, enum alg *out);

/* For sets of them. */
static inline unsigned alg_bit(enum alg alg)
{
    return 1U << alg;
}
