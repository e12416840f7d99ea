#pragma once

/*
 * Shared bytes: written once by who made them, immutable from the first retain on, freed by
 * whoever drops the last count.
 *
 * Threads: any; the count is atomic.
 * Owns: its bytes, which stand behind the struct.
 */

#include <stdatomic.h>
#include <stddef.h>

#include "core/base/err.h"

struct blob {
    atomic_uint refs;
    size_t len; /* bytes in use; at most what was asked for */
    char bytes[];
};

/* One count, for the caller. NULL when there is no memory: a peer chose the size. */
MUST_USE struct blob *blob_try_create(size_t len);

struct blob *blob_retain(struct blob *blob);

/* Takes NULL. */
void blob_release(struct blob *blob);
