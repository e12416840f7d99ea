#include "core/base/heap.h"

#include "core/base/mem.h"

enum { FIRST_CAPACITY = 16 };

void heap_init(struct heap *heap)
{
    *heap = (struct heap){0};
}

void heap_fini(struct heap *heap)
{
    mem_free(heap->nodes);
    *heap = (struct heap){0};
}

static void place(struct heap *heap, struct heap_node *node, size_t index)
{
    heap->nodes[index] = node;
    node->index = index;
}

static void sift_up(struct heap *heap, struct heap_node *node)
{
    size_t index = node->index;
    for (; index != 0 && heap->nodes[(index - 1) / 2]->at > node->at; index = (index - 1) / 2)
        place(heap, heap->nodes[(index - 1) / 2], index);
    place(heap, node, index);
}

static void sift_down(struct heap *heap, struct heap_node *node)
{
    size_t index = node->index;
    for (;;) {
        size_t child = 2 * index + 1;
        if (child + 1 < heap->count && heap->nodes[child + 1]->at < heap->nodes[child]->at)
            child++;
        if (child >= heap->count || heap->nodes[child]->at >= node->at)
            break;
        place(heap, heap->nodes[child], index);
        index = child;
    }
    place(heap, node, index);
}

enum err heap_set(struct heap *heap, struct heap_node *node, uint64_t at)
{
    if (node->index == HEAP_OUT) {
        if (heap->count == heap->cap) {
            size_t cap = heap->cap != 0 ? heap->cap * 2 : FIRST_CAPACITY;
            struct heap_node **nodes = mem_try_resize(heap->nodes, cap, sizeof(struct heap_node *));
            if (nodes == NULL)
                return ERR_NOMEM;
            heap->nodes = nodes;
            heap->cap = cap;
        }
        place(heap, node, heap->count++);
    }
    node->at = at;
    sift_up(heap, node);
    sift_down(heap, node);
    return ERR_OK;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    size_t index = node->index;
    if (index == HEAP_OUT)
        return;
    node->index = HEAP_OUT;
    struct heap_node *last = heap->nodes[--heap->count];
    if (last == node)
        return;
    place(heap, last, index);
    sift_up(heap, last);
    sift_down(heap, last);
}
