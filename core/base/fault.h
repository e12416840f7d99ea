#pragma once

/*
 * The one form in which a fault is told outside, as an HTTP body and as the data of an error
 * envelope (CONTRACT: errors):
 *
 *     {"status":"error","code":"INVALID_PAYLOAD","message":"…","data":{"field":"type"}}
 *
 * Threads: any.
 */

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

/* A further member of the fault's data: JSON text that is repeated as it came. */
struct fault_extra {
    const char *name;
    struct slice json; /* ptr NULL: left out */
};

void fault_append_json(struct buf *buf, const struct fault *fault, const struct fault_extra *extras,
                       size_t extras_count);
