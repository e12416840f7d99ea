/*
 * The small area is handed out once, from its beginning to its end: what yajl gives back of it it
 * does not get again, and does not need to.
 */
#include "core/chat/json_memory.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/mem.h"

struct block {
    struct list_link link; /* of a large one */
    size_t size;
    alignas(max_align_t) char bytes[];
};

void json_memory_init(struct json_memory *memory)
{
    list_init(&memory->blocks);
    memory->small_used = 0;
}

static bool is_small(const struct json_memory *memory, const struct block *block)
{
    const char *at = (const char *)block;
    return at >= memory->small && at < memory->small + sizeof memory->small;
}

/* NULL where the small area has no room for it. */
static struct block *take_small(struct json_memory *memory, size_t size)
{
    const size_t unit = alignof(max_align_t);
    if (size > sizeof memory->small)
        return NULL;
    size_t bytes = (sizeof(struct block) + size + unit - 1) / unit * unit;
    if (bytes > sizeof memory->small - memory->small_used)
        return NULL;
    struct block *block = (struct block *)(memory->small + memory->small_used);
    memory->small_used += bytes;
    *block = (struct block){.size = size};
    return block;
}

/* NULL: there was `old` only, which stays as it is. */
static struct block *resize_large(struct json_memory *memory, struct block *old, size_t size)
{
    if (old != NULL)
        list_remove(&old->link);
    struct block *block = mem_try_resize(old, 1, sizeof *block + size);
    if (block == NULL) {
        if (old != NULL)
            list_push_back(&memory->blocks, &old->link);
        return NULL;
    }
    *block = (struct block){.size = size};
    list_push_back(&memory->blocks, &block->link);
    return block;
}

static void *take(void *arg, size_t size)
{
    struct json_memory *memory = arg;
    struct block *block = take_small(memory, size);
    if (block == NULL)
        block = resize_large(memory, NULL, size);
    if (block == NULL)
        longjmp(memory->lack, 1);
    return block->bytes;
}

static void *resize(void *arg, void *bytes, size_t size)
{
    struct json_memory *memory = arg;
    if (bytes == NULL)
        return take(memory, size);
    struct block *old = LIST_ENTRY(bytes, struct block, bytes);
    if (is_small(memory, old)) {
        void *moved = take(memory, size);
        return memcpy(moved, bytes, old->size < size ? old->size : size);
    }
    struct block *block = resize_large(memory, old, size);
    if (block == NULL)
        longjmp(memory->lack, 1);
    return block->bytes;
}

static void give_back(void *arg, void *bytes)
{
    struct json_memory *memory = arg;
    if (bytes == NULL)
        return;
    struct block *block = LIST_ENTRY(bytes, struct block, bytes);
    if (is_small(memory, block))
        return;
    list_remove(&block->link);
    mem_free(block);
}

void json_memory_fini(struct json_memory *memory)
{
    struct list_link *link;
    while ((link = list_pop_front(&memory->blocks)) != NULL)
        mem_free(LIST_ENTRY(link, struct block, link));
}

yajl_alloc_funcs json_memory_funcs(struct json_memory *memory)
{
    return (yajl_alloc_funcs){.malloc = take, .realloc = resize, .free = give_back, .ctx = memory};
}
