#pragma once

/*
 * How a connection stands with the limits: from where it came, if that is what it is known by, and
 * how often it was refused lately. Most have none: it is made when there is something to keep.
 *
 * Threads: one at a time; plain data.
 * Owns: the count of refusals.
 */

#include <stdint.h>

#include "core/base/err.h"
#include "core/limit/address.h"

struct strikes;

struct standing {
    struct address address;
    struct strikes *refusals; /* NULL: none yet */
};

/* `address` NULL: it is known otherwise. NULL without memory. */
MUST_USE struct standing *standing_try_create(const struct address *address);
/* Takes NULL. */
void standing_destroy(struct standing *standing);

/* It was refused. Returns how often it was within the last minute, this time included; 0 without
 * memory to count. */
unsigned standing_count_refusal(struct standing *standing, uint64_t now_ms);
