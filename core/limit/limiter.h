#pragma once

/*
 * Buckets by name: one for each user or address, all of the same limit.
 *
 * A bucket that is full again is no different from a new one, so the table forgets full ones as it
 * goes, the longest untouched first. When all places are taken by others, the longest untouched
 * one goes all the same: a bound of memory is worth more than a limit kept by everybody.
 *
 * Several processes share their buckets by telling each other what was taken: each lets its own
 * takers have what its own buckets hold, at once, and charges them with what was taken elsewhere as
 * it hears of it (limiter_share).
 *
 * Threads: create, share and destroy: one. All else: any.
 * Owns: the buckets and their names.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/limit/limit.h"

enum {
    LIMITER_KEY_MAX = 128,
    LIMITER_SHARDS = 16, /* locks, so that threads seldom wait for each other */
};

struct limiter;

/* At most `max_keys` buckets, divided evenly among the shards. */
struct limiter *limiter_create(const struct limit *limit, size_t max_keys);
/* Takes NULL. */
void limiter_destroy(struct limiter *limiter);

const struct limit *limiter_limit(const struct limiter *limiter);

struct limiter_answer {
    uint64_t retry_after_ms; /* 0 when one was taken */
    bool is_much; /* so much was taken that others should hear of it before more is (limiter_share)
                   */
};

/* bucket_take for the bucket of this name (at most LIMITER_KEY_MAX bytes). Without memory for a new
 * bucket there is no limit. */
bool limiter_take(struct limiter *limiter, struct slice key, uint64_t now_ns,
                  struct limiter_answer *answer);

/* --- sharing --- */

/* What was taken is written down from now on; before the first take. Until limiter_set_sharers
 * there are as many as are ever reckoned with: whoever takes much is held up a little sooner. */
void limiter_share(struct limiter *limiter);

/*
 * How many share the buckets, this one included. What each of them may take of what it believes to
 * be there, before the others should hear of it, is less by that: `is_much` is when all of them
 * together could have taken everything.
 */
void limiter_set_sharers(struct limiter *limiter, unsigned sharers);

/* What was taken from a bucket here since it was last told. */
struct limiter_spending {
    uint32_t tokens;
    size_t key_len;
    char key[LIMITER_KEY_MAX];
};

/*
 * Whether there is something to tell: 1/40 of the limit, and at least one token, was taken from
 * some bucket, or so many that it is much. What is less, or has flowed back, makes no difference to
 * others.
 */
bool limiter_has_spending(const struct limiter *limiter);
/* Takes one bucket's off the list; false when there is none. */
bool limiter_next_spending(struct limiter *limiter, uint64_t now_ns, struct limiter_spending *out);

/* bucket_charge for the bucket of this name: so much was taken elsewhere. Without memory for a new
 * bucket nothing happens. */
void limiter_charge(struct limiter *limiter, struct slice key, uint64_t tokens, uint64_t now_ns);

/* How many buckets there are. */
size_t limiter_count(struct limiter *limiter);
