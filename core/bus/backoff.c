#include "core/bus/backoff.h"

#include "core/bus/bus.h"

void backoff_reset(struct backoff *backoff, uint64_t now_ms)
{
    *backoff = (struct backoff){.since_ms = now_ms};
}

uint64_t backoff_next_ms(struct backoff *backoff, uint64_t now_ms, bool refused, uint32_t random)
{
    if (!refused && now_ms - backoff->since_ms < BACKOFF_EAGER_MS)
        return BUS_BACKOFF_MIN_MS + random % (BACKOFF_EAGER_MAX_MS - BUS_BACKOFF_MIN_MS + 1);
    uint64_t limit_ms = (uint64_t)BACKOFF_EAGER_MAX_MS << backoff->doublings;
    if (limit_ms < BUS_BACKOFF_MAX_MS)
        backoff->doublings++;
    else
        limit_ms = BUS_BACKOFF_MAX_MS;
    /* From half of the limit up to all of it. */
    return limit_ms / 2 + random % (limit_ms / 2 + 1);
}
