#pragma once

/*
 * A binary heap of moments: the earliest is found at once, any one is moved or taken out in
 * logarithmic time. For deadlines that differ from one to the next; where all have the same length,
 * a list does.
 *
 * Threads: the owner of the heap.
 * Owns: its array, not the nodes.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

#define HEAP_OUT SIZE_MAX

struct heap_node {
    uint64_t at;
    size_t index; /* in the heap's array; HEAP_OUT: in none */
};

struct heap {
    struct heap_node **nodes;
    size_t count, cap;
};

void heap_init(struct heap *heap);
void heap_fini(struct heap *heap);

static inline void heap_node_init(struct heap_node *node)
{
    *node = (struct heap_node){.index = HEAP_OUT};
}

/* Puts the node in, or moves it when it is in. ERR_NOMEM only for one that was out, and stays so.
 */
MUST_USE enum err heap_set(struct heap *heap, struct heap_node *node, uint64_t at);

/* Takes the node out; nothing when it is out. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The earliest, NULL when there is none. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count != 0 ? heap->nodes[0] : NULL;
}
