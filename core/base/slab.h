#pragma once

/*
 * Memory for many small objects of one size that live long, apart from the allocator's heaps: an
 * object costs its size and nothing more, and what comes and goes elsewhere leaves no gaps between
 * them. A page all of whose objects came back is given back to the system, but for one.
 *
 *     page, SLAB_PAGE_BYTES, aligned to that:  │head│object│free ─▶ │object│never used … │
 *
 * Under AddressSanitizer each object is an allocation of its own, so that what is used after its
 * end is found.
 *
 * Threads: any, but for init and fini.
 * Owns: its pages; an object is the caller's from slab_try_alloc until slab_free.
 */

#include <stddef.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/lock.h"

enum { SLAB_PAGE_BYTES = 16 * 1024 };

struct slab {
    size_t object_bytes; /* a multiple of 8 */

    struct lock lock;
    struct list open GUARDED_BY(lock); /* pages with room */
    struct list full GUARDED_BY(lock); /* those without */
    unsigned empty GUARDED_BY(lock);   /* open pages that hold nothing: one at most is kept */
    size_t pages_count GUARDED_BY(lock);
};

/* Objects of 8 to 1024 bytes. */
void slab_init(struct slab *slab, size_t object_bytes);
/* All objects came back. */
void slab_fini(struct slab *slab);

/* Uninitialised memory for an object, aligned to 8; NULL without memory. Counts as a mem_try_* for
 * mem_fail_after. */
MUST_USE void *slab_try_alloc(struct slab *slab);
/* The same for a small object of our own: ends the process with a line when there is no memory. */
void *slab_alloc(struct slab *slab) __attribute__((returns_nonnull));
/* Takes NULL. */
void slab_free(struct slab *slab, void *object);

/* Pages that it has now. */
size_t slab_pages(struct slab *slab);
