#include "core/chat/outq.h"

#include <assert.h>

#include "core/base/mem.h"

enum { FIRST_CAPACITY = 4 };

static struct outq_entry *at(const struct outq *outq, uint32_t i)
{
    return &outq->ring[(outq->first + i) & (outq->cap - 1)];
}

static uint32_t messages_of(const struct outq_entry *entry)
{
    if (entry->kind != OUTQ_MESSAGES)
        return 0;
    return batch_messages_from(entry->batch, entry->offset) -
           batch_messages_from(entry->batch, entry->end);
}

void outq_init(struct outq *outq)
{
    *outq = (struct outq){0};
}

void outq_fini(struct outq *outq)
{
    for (uint32_t i = 0; i < outq->count; i++)
        batch_release(at(outq, i)->batch);
    mem_free(outq->ring);
    outq_init(outq);
}

static enum err grow(struct outq *outq)
{
    uint32_t cap = outq->cap != 0 ? outq->cap * 2 : FIRST_CAPACITY;
    struct outq_entry *ring = mem_try_resize(NULL, cap, sizeof *ring);
    if (ring == NULL)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < outq->count; i++)
        ring[i] = *at(outq, i);
    mem_free(outq->ring);
    outq->ring = ring;
    outq->first = 0;
    outq->cap = cap;
    return ERR_OK;
}

enum err outq_push(struct outq *outq, struct batch *batch, uint32_t offset, enum outq_kind kind)
{
    if (outq->count == outq->cap && grow(outq) != ERR_OK)
        return ERR_NOMEM;
    struct outq_entry *entry = at(outq, outq->count++);
    *entry = (struct outq_entry){
        .batch = batch_retain(batch), .offset = offset, .end = batch->len, .kind = kind};
    outq->bytes += entry->end - entry->offset;
    outq->messages += messages_of(entry);
    return ERR_OK;
}

bool outq_append(struct outq *outq, struct slice frame, enum outq_kind kind)
{
    struct outq_entry *last = outq->count != 0 ? at(outq, outq->count - 1) : NULL;
    if (last == NULL || last->kind != kind || last->batch->refs != 1 ||
        last->end != last->batch->len || batch_append(last->batch, frame, 0) != ERR_OK)
        return false;
    outq->bytes += frame.len;
    outq->messages += kind == OUTQ_MESSAGES;
    last->end = last->batch->len;
    return true;
}

bool outq_replace(struct outq *outq, struct batch *batch, enum outq_kind kind)
{
    for (uint32_t i = 0; i < outq->count; i++) {
        struct outq_entry *entry = at(outq, i);
        if (entry->kind != kind || entry->offset != 0)
            continue;
        outq->bytes += batch->len;
        outq->bytes -= entry->end;
        batch_release(entry->batch);
        entry->batch = batch_retain(batch);
        entry->end = batch->len;
        return true;
    }
    return false;
}

int outq_gather(const struct outq *outq, struct iovec *parts, int max)
{
    int count = 0;
    for (uint32_t i = 0; i < outq->count && count < max; i++) {
        const struct outq_entry *entry = at(outq, i);
        parts[count].iov_base = entry->batch->bytes + entry->offset;
        parts[count].iov_len = entry->end - entry->offset;
        count++;
    }
    return count;
}

static void pop(struct outq *outq)
{
    batch_release(at(outq, 0)->batch);
    outq->first = (outq->first + 1) & (outq->cap - 1);
    outq->count--;
}

uint32_t outq_advance(struct outq *outq, size_t sent)
{
    uint32_t before = outq->messages;
    assert(sent <= outq->bytes);
    outq->bytes -= sent;
    while (sent != 0) {
        struct outq_entry *entry = at(outq, 0);
        uint32_t waiting = messages_of(entry);
        size_t step = entry->end - entry->offset;
        if (step > sent)
            step = sent;
        entry->offset += (uint32_t)step;
        sent -= step;
        outq->messages -= waiting - messages_of(entry);
        if (entry->offset == entry->end)
            pop(outq);
    }
    return before - outq->messages;
}

uint32_t outq_drop_unsent(struct outq *outq)
{
    uint32_t before = outq->messages;
    while (outq->count > 1) {
        batch_release(at(outq, outq->count - 1)->batch);
        outq->count--;
    }
    if (outq->count == 1) {
        struct outq_entry *entry = at(outq, 0);
        entry->end = batch_boundary_from(entry->batch, entry->offset);
        outq->bytes = entry->end - entry->offset;
        outq->messages = messages_of(entry);
        if (entry->offset == entry->end)
            pop(outq);
    }
    return before - outq->messages;
}
