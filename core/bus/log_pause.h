#pragma once

/*
 * One line an interval for what may happen again and again: while Redis is in trouble, or because a
 * client wants it so.
 *
 * Threads: any.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/clock.h"

enum { LOG_PAUSE_MS = 10000 };

struct log_pause {
    atomic_uint_fast64_t next_ms; /* no line before this moment */
};

/* Whether a line may be written now; who is told so writes it. */
static inline bool log_pause_is_over(struct log_pause *pause)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint_fast64_t next_ms = atomic_load(&pause->next_ms);
    return now_ms >= next_ms &&
           atomic_compare_exchange_strong(&pause->next_ms, &next_ms, now_ms + LOG_PAUSE_MS);
}
