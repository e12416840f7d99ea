#pragma once

/*
 * What somebody is told who did something too often (EVENTS: limits): the same members for HTTP and
 * for error envelopes.
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/fault.h"

struct limit;

enum { LIMITED_EXTRAS = 3 };

struct limited {
    const char *class;         /* connects, messages, … */
    const struct limit *limit; /* NULL: nothing was too often */
    uint64_t retry_after_ms;
};

/* Fills in `class`, `limit` and `retry_after_ms`, which stand in `scratch`. */
void limited_extras(const struct limited *limited, struct buf *scratch,
                    struct fault_extra extras[LIMITED_EXTRAS]);
