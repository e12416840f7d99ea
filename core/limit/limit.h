#pragma once

/*
 * How often something may happen: a bucket of tokens. The number of the limit is both what the full
 * bucket holds (the burst) and what flows back into it over the time.
 *
 *     60/1m      60 at once, then one a second
 *
 * A bucket is one number: the moment at which it will be full again. Each token taken moves that
 * moment on by what one token takes to flow back.
 *
 * Threads: any; plain data. Of one bucket: one at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/slice.h"

enum {
    LIMIT_COUNT_MAX = 1000000,
    LIMIT_PERIOD_MS_MAX = 24 * 60 * 60 * 1000,
    LIMIT_PERIOD_MS_MIN = 10,
    LIMIT_DEBT_MAX = 4, /* an empty bucket may lack so many times more than it can hold */
};

struct limit {
    uint32_t count;     /* 0: no limit */
    uint64_t period_ms; /* in which so many flow back */
};

struct bucket {
    uint64_t full_at_ns; /* 0: full from the start */
};

/* `60/1m`, or `off`; false when it is neither, or out of the bounds above. */
bool limit_parse(struct slice text, struct limit *out);
void limit_append(struct buf *buf, const struct limit *limit);

static inline bool limit_is_off(const struct limit *limit)
{
    return limit->count == 0;
}

/* Takes a token. False when there is none: then one is there again in `*retry_after_ms` (rounded
 * up), and nothing was taken. */
bool bucket_take(struct bucket *bucket, const struct limit *limit, uint64_t now_ns,
                 uint64_t *retry_after_ms);

/*
 * Takes tokens that were spent elsewhere already, whether they are there or not: what is lacking
 * then must flow back before bucket_take finds one again.
 */
void bucket_charge(struct bucket *bucket, const struct limit *limit, uint64_t tokens,
                   uint64_t now_ns);
/* How many tokens are not there, those that are about to be included. */
uint64_t bucket_missing(const struct bucket *bucket, const struct limit *limit, uint64_t now_ns);

/* Whether it holds all that it can: a bucket like a new one. */
static inline bool bucket_is_full(const struct bucket *bucket, uint64_t now_ns)
{
    return bucket->full_at_ns <= now_ns;
}
