#include "core/chat/batch.h"

#include <assert.h>

#include "core/base/mem.h"

struct batch *batch_try_create(void)
{
    struct batch *batch = mem_try_alloc(sizeof *batch);
    if (batch == NULL)
        return NULL;
    batch->refs = 1;
    batch->len = batch->count = 0;
    batch->cap = BATCH_FIRST_BYTES;
    batch->count_cap = BATCH_FIRST_COUNT;
    batch->held = NULL;
    batch->bytes = batch->first_bytes;
    batch->ends = batch->first_ends;
    batch->received_ns = batch->first_received_ns;
    return batch;
}

struct batch *batch_retain(struct batch *batch)
{
    batch->refs++;
    return batch;
}

void batch_release(struct batch *batch)
{
    if (batch == NULL || --batch->refs != 0)
        return;
    if (batch->held != NULL)
        *batch->held -= batch->cap;
    if (batch->bytes != batch->first_bytes)
        mem_free(batch->bytes);
    if (batch->ends != batch->first_ends)
        mem_free(batch->ends);
    if (batch->received_ns != batch->first_received_ns)
        mem_free(batch->received_ns);
    mem_free(batch);
}

void batch_hold(struct batch *batch, size_t *held)
{
    if (batch->held != NULL)
        return;
    batch->held = held;
    *held += batch->cap;
}

/* `old` with room for `cap` elements; `first`, of `bytes` bytes, cannot grow where it is. */
static void *grow(void *old, const void *first, size_t bytes, size_t cap, size_t size)
{
    if (old != first)
        return mem_try_resize(old, cap, size);
    void *grown = mem_try_resize(NULL, cap, size);
    return grown != NULL ? memcpy(grown, first, bytes) : NULL;
}

static enum err grow_bytes(struct batch *batch, size_t need)
{
    if (need <= batch->cap)
        return ERR_OK;
    size_t cap = batch->cap * (size_t)2;
    if (cap < need)
        cap = need;
    char *bytes = grow(batch->bytes, batch->first_bytes, sizeof batch->first_bytes, cap, 1);
    if (bytes == NULL)
        return ERR_NOMEM;
    if (batch->held != NULL)
        *batch->held += cap - batch->cap;
    batch->bytes = bytes;
    batch->cap = (uint32_t)cap;
    return ERR_OK;
}

static enum err grow_count(struct batch *batch)
{
    if (batch->count < batch->count_cap)
        return ERR_OK;
    uint32_t cap = batch->count_cap * 2;
    uint32_t *ends =
        grow(batch->ends, batch->first_ends, sizeof batch->first_ends, cap, sizeof *ends);
    if (ends == NULL)
        return ERR_NOMEM;
    batch->ends = ends;
    uint64_t *received_ns = grow(batch->received_ns, batch->first_received_ns,
                                 sizeof batch->first_received_ns, cap, sizeof *received_ns);
    if (received_ns == NULL)
        return ERR_NOMEM;
    batch->received_ns = received_ns;
    batch->count_cap = cap;
    return ERR_OK;
}

enum err batch_append(struct batch *batch, struct slice frame, uint64_t received_ns)
{
    size_t len = batch->len + frame.len;
    if ((batch->count != 0 && len > BATCH_BYTES_MAX) || len > UINT32_MAX)
        return ERR_FULL;
    if (grow_bytes(batch, len) != ERR_OK || grow_count(batch) != ERR_OK)
        return ERR_NOMEM;
    memcpy(batch->bytes + batch->len, frame.ptr, frame.len);
    batch->len = (uint32_t)len;
    batch->ends[batch->count] = (uint32_t)len;
    batch->received_ns[batch->count] = received_ns;
    batch->count++;
    return ERR_OK;
}

void batch_remove_last(struct batch *batch)
{
    assert(batch->count != 0);
    batch->count--;
    batch->len = batch->count != 0 ? batch->ends[batch->count - 1] : 0;
}

/* The first message that ends behind `offset`; `count` when none does. */
static uint32_t find(const struct batch *batch, uint32_t offset)
{
    uint32_t low = 0, high = batch->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (batch->ends[middle] > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint32_t batch_messages_from(const struct batch *batch, uint32_t offset)
{
    return batch->count - find(batch, offset);
}

uint32_t batch_boundary_from(const struct batch *batch, uint32_t offset)
{
    uint32_t index = find(batch, offset);
    uint32_t start = index != 0 ? batch->ends[index - 1] : 0;
    return start == offset || index == batch->count ? offset : batch->ends[index];
}
