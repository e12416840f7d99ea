#pragma once

/*
 * Memory in two manners: mem_* for small objects of our own, which ends the process with a line
 * when there is none, and mem_try_* for every size that a peer or a file chose, which returns NULL.
 *
 * Threads: any.
 * Owns: nothing; what is returned is the caller's, freed with mem_free.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"

/* Zeroed memory for `size` bytes; never NULL. */
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));

/* The same, uninitialised: small ones come from a cache of the thread, which those of mem_zalloc
 * never do (glibc 2.36). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));

/* Room for `count` elements of `size` bytes, contents of `ptr` kept; never NULL. */
void *mem_resize(void *ptr, size_t count, size_t size) __attribute__((returns_nonnull));

/* A copy of the string; never NULL. */
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));

/* Uninitialised memory for `size` bytes, or NULL. */
MUST_USE void *mem_try_alloc(size_t size);

/* `count` elements of `size` bytes, contents kept; NULL (and `ptr` as it was) on overflow too. */
MUST_USE void *mem_try_resize(void *ptr, size_t count, size_t size);

/* `count` zeroed elements of `size` bytes, touched only when used; NULL on overflow too. */
MUST_USE void *mem_try_zalloc(size_t count, size_t size);

/* Takes NULL. */
void mem_free(void *ptr);

/* What mem_* does without memory: a line, and the end of the process. */
_Noreturn void mem_die(size_t size);

/* For allocators of other kinds (slab.h): asked once for each request that they could refuse; true:
 * this one is to fail (mem_fail_after). */
bool mem_try_fails(void);

/*
 * For tests: the n-th mem_try_* call of this thread from now on returns NULL (1 is the next one);
 * 0 turns that off. Returns how many mem_try_* calls this thread made since it was last set.
 */
unsigned mem_fail_after(unsigned nth);
