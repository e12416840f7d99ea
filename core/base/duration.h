#pragma once

/*
 * Durations as people write them: a whole number and its unit, `ms`, `s` or `m`.
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/slice.h"

/* Digits only, at least one; false when the number has no place in 64 bits. */
bool duration_parse_number(struct slice text, uint64_t *out);

bool duration_parse(struct slice text, uint64_t *ms);

/* In the largest unit that it is a whole number of. */
void duration_append(struct buf *buf, uint64_t ms);
