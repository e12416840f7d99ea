#pragma once

/*
 * Buckets by name: one for each user or address, all of the same limit.
 *
 * A bucket that is full again is no different from a new one, so the table forgets full ones as it
 * goes, the longest untouched first. When all places are taken by others, the longest untouched
 * one goes all the same: a bound of memory is worth more than a limit kept by everybody.
 *
 * Threads: create and destroy: one. take and count: any.
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

/* bucket_take for the bucket of this name (at most LIMITER_KEY_MAX bytes). Without memory for a new
 * bucket there is no limit. */
bool limiter_take(struct limiter *limiter, struct slice key, uint64_t now_ns,
                  uint64_t *retry_after_ms);

/* How many buckets there are. */
size_t limiter_count(struct limiter *limiter);
