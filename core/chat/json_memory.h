#pragma once

/*
 * Memory for one run of yajl, which asks for as much as a string is long and does not look whether
 * it got any. So a lack of memory leaves it by a jump:
 *
 *     json_memory_init(&memory);
 *     if (setjmp(memory.lack) == 0)
 *         … yajl, with json_memory_funcs(&memory) …
 *     json_memory_fini(&memory);
 *
 * Threads: one.
 * Owns: all that yajl has, whether it gave it back or not.
 */

#include <setjmp.h>
#include <stdalign.h>
#include <stddef.h>
#include <yajl/yajl_common.h>

#include "core/base/list.h"

enum { JSON_MEMORY_SMALL = 3072 }; /* a text without escapes takes no more, nor a short one with */

struct json_memory {
    jmp_buf lack;
    struct list blocks; /* those that were too large */
    size_t small_used;
    alignas(max_align_t) char small[JSON_MEMORY_SMALL];
};

void json_memory_init(struct json_memory *memory);

/* Frees what is left; yajl's handle is gone with it. */
void json_memory_fini(struct json_memory *memory);

yajl_alloc_funcs json_memory_funcs(struct json_memory *memory);
