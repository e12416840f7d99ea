#include "core/limit/strikes.h"

#include <string.h>

enum { MS_PER_SECOND = 1000 };

/* Forgets the seconds that went by since the last one, which their places are taken from. */
static void advance(struct strikes *strikes, uint64_t second)
{
    if (second - strikes->second >= STRIKES_SECONDS)
        memset(strikes->counts, 0, sizeof strikes->counts);
    else
        while (strikes->second != second)
            strikes->counts[++strikes->second % STRIKES_SECONDS] = 0;
    strikes->second = second;
}

unsigned strikes_add(struct strikes *strikes, uint64_t now_ms)
{
    unsigned sum = 0;
    advance(strikes, now_ms / MS_PER_SECOND);
    uint8_t *count = &strikes->counts[strikes->second % STRIKES_SECONDS];
    *count += *count != UINT8_MAX;
    for (unsigned i = 0; i < STRIKES_SECONDS; i++)
        sum += strikes->counts[i];
    return sum;
}
