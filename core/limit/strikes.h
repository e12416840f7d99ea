#pragma once

/*
 * How often something happened within the last minute, in 72 bytes: one count for each second.
 *
 * Threads: one at a time; plain data.
 */

#include <stdint.h>

enum { STRIKES_SECONDS = 60 };

struct strikes {
    uint64_t second;                 /* that the last one happened in */
    uint8_t counts[STRIKES_SECONDS]; /* by second, modulo their number */
};

/* It happened once more. Returns how often it did within the minute, this time included: what
 * happened 59 seconds ago still counts, a minute ago no more. */
unsigned strikes_add(struct strikes *strikes, uint64_t now_ms);
