#include "core/limit/limit.h"

#include "core/base/duration.h"

enum { NS_PER_MS = 1000000 };

bool limit_parse(struct slice text, struct limit *out)
{
    uint64_t count = 0, period_ms = 0;
    *out = (struct limit){0};
    if (slice_equals_str(text, "off"))
        return true;
    const char *slash = text.len != 0 ? memchr(text.ptr, '/', text.len) : NULL;
    size_t digits = slash != NULL ? (size_t)(slash - text.ptr) : text.len;
    if (slash == NULL || !duration_parse_number(slice_of(text.ptr, digits), &count) ||
        !duration_parse(slice_skip(text, digits + 1), &period_ms) || count == 0 ||
        count > LIMIT_COUNT_MAX || period_ms < LIMIT_PERIOD_MS_MIN ||
        period_ms > LIMIT_PERIOD_MS_MAX)
        return false;
    *out = (struct limit){.count = (uint32_t)count, .period_ms = period_ms};
    return true;
}

void limit_append(struct buf *buf, const struct limit *limit)
{
    if (limit_is_off(limit)) {
        buf_append_str(buf, "off");
        return;
    }
    buf_printf(buf, "%u/", limit->count);
    duration_append(buf, limit->period_ms);
}

static uint64_t token_ns(const struct limit *limit)
{
    return limit->period_ms * NS_PER_MS / limit->count;
}

/* A full bucket is full now, whenever it became so. */
static uint64_t full_at(const struct bucket *bucket, uint64_t now_ns)
{
    return bucket->full_at_ns > now_ns ? bucket->full_at_ns : now_ns;
}

bool bucket_take(struct bucket *bucket, const struct limit *limit, uint64_t now_ns,
                 uint64_t *retry_after_ms)
{
    *retry_after_ms = 0;
    if (limit_is_off(limit))
        return true;
    /* The bucket's size is measured in whole tokens, so that rounding adds none to the burst. */
    uint64_t size_ns = token_ns(limit) * limit->count;
    uint64_t full_at_ns = full_at(bucket, now_ns) + token_ns(limit);
    if (full_at_ns - now_ns > size_ns) {
        *retry_after_ms = (full_at_ns - now_ns - size_ns + NS_PER_MS - 1) / NS_PER_MS;
        return false;
    }
    bucket->full_at_ns = full_at_ns;
    return true;
}

void bucket_charge(struct bucket *bucket, const struct limit *limit, uint64_t tokens,
                   uint64_t now_ns)
{
    if (limit_is_off(limit))
        return;
    uint64_t most = (uint64_t)limit->count * (1 + LIMIT_DEBT_MAX);
    uint64_t latest_ns = now_ns + most * token_ns(limit);
    uint64_t full_at_ns =
        full_at(bucket, now_ns) + (tokens < most ? tokens : most) * token_ns(limit);
    bucket->full_at_ns = full_at_ns < latest_ns ? full_at_ns : latest_ns;
}

uint64_t bucket_missing(const struct bucket *bucket, const struct limit *limit, uint64_t now_ns)
{
    if (limit_is_off(limit))
        return 0;
    return (full_at(bucket, now_ns) - now_ns + token_ns(limit) - 1) / token_ns(limit);
}
