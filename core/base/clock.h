#pragma once

/* Time, from the two clocks that matter: one that only goes forward, one that people read. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"

enum {
    /* "2026-02-05T00:00:00.000Z" and its terminator. */
    CLOCK_RFC3339_SIZE = 25,
};

/* Since some fixed moment; never goes back. */
uint64_t clock_monotonic_ns(void);
uint64_t clock_monotonic_ms(void);

/* Since 1970-01-01 UTC. */
uint64_t clock_wall_ms(void);

/* RFC 3339, UTC, milliseconds; `out` has CLOCK_RFC3339_SIZE bytes. Years past 9999 stay at 9999. */
void clock_format_rfc3339(uint64_t wall_ms, char *out);

/* Reads what clock_format_rfc3339 wrote; false: it is of another form, or no such time. */
bool clock_parse_rfc3339(struct slice text, uint64_t *wall_ms);
