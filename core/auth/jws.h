#pragma once

/*
 * A token as it is written (RFC 7515 7.1, JWS Compact Serialization), taken apart but not believed:
 *
 *     base64url(header) . base64url(payload) . base64url(signature)
 *
 * Of the header only `alg`, `kid` and `crit` are read. A key, or a place to get one from, that the
 * token itself names (`jwk`, `jku`, `x5c`, `x5u`) is never looked at.
 *
 * Threads: any; plain data.
 */

#include <stddef.h>

#include "core/auth/alg.h"
#include "core/auth/base64url.h"
#include "core/base/err.h"
#include "core/base/slice.h"

enum {
    JWS_TOKEN_MAX = 8192, /* bytes of a whole token */
    JWS_KID_MAX = 256,
};

/*
 * How jansson reads header and payload. Members that nobody here looks at may hold any integer,
 * also one over 64 bits, and any character: such a token is as good as another.
 */
#define JWS_JSON_FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL)

struct jws {
    enum alg alg;
    struct slice kid;         /* in `kid_bytes`; ptr NULL: absent */
    struct slice signed_text; /* header and payload as they came, in the token */
    struct slice payload;     /* decoded, in `bytes` */
    struct slice signature;   /* likewise */
    char kid_bytes[JWS_KID_MAX];
    unsigned char bytes[JWS_TOKEN_MAX];
};

/* ERR_INVALID with the rule that is broken in `why` (a constant). The token's text is borrowed for
 * as long as `out` is looked at. */
MUST_USE enum err jws_parse(struct slice token, struct jws *out, const char **why);
