#pragma once

/*
 * The keys that count at one time: immutable and counted, so that whoever checks a token needs no
 * lock while it computes, and new keys (core/auth/key_store) replace the whole set.
 *
 * Threads: retain, release, verify: any. Making one: a single thread.
 * Owns: its keys.
 */

#include <stdatomic.h>
#include <stddef.h>

#include "core/auth/jws.h"
#include "core/auth/key.h"
#include "core/base/err.h"
#include "core/base/slice.h"

enum { KEY_SET_MAX = 32, KEY_WHY_SIZE = 320 };

struct key_set {
    atomic_uint refs;
    size_t count;
    size_t skipped; /* keys of a JWKS that are for something else, or cannot be used */
    struct key keys[KEY_SET_MAX];
};

/* An empty set, with one count for the caller. */
struct key_set *key_set_create(void);
struct key_set *key_set_retain(struct key_set *set);
/* Takes NULL. */
void key_set_release(struct key_set *set);

/*
 * Adds the keys of a file's text: one or more PEM public keys, or a JWKS (RFC 7517 5). Keys of a
 * JWKS that are not for signatures are skipped, and so are those that are broken, too small or of a
 * kind that no algorithm here takes; of the latter each is told in the log, the first KEY_SET_MAX.
 * ERR_INVALID, with a sentence in `why`, when the text is neither, a PEM key in it is broken or too
 * small, any key is private or a secret, or none is left.
 */
MUST_USE enum err key_set_add_text(struct key_set *set, struct slice text, char why[KEY_WHY_SIZE]);

/*
 * Whether the signature is one of these keys'. A token with a kid is checked with the keys of that
 * kid; when there is none, with the keys that have no kid. A token without one is checked with
 * every key that takes its algorithm. ERR_INVALID with the reason in `why` (a constant).
 */
MUST_USE enum err key_set_verify(const struct key_set *set, const struct jws *jws,
                                 const char **why);
