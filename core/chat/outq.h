#pragma once

/*
 * What waits for one client because its socket was full: places in batches, in order.
 *
 *     entries ▸ (batch A, offset 700) (batch B, 0) (pong, 0)
 *
 * Only messages count toward the bounds; control frames are few by construction (one pong, one
 * ping, one Close). It exists only while something waits. The bounds are judged by the client, once
 * the socket took what it would.
 *
 * Threads: the client's loop.
 * Owns: a count of each batch.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/base/err.h"
#include "core/chat/batch.h"

enum outq_kind { OUTQ_MESSAGES, OUTQ_PING, OUTQ_PONG, OUTQ_CLOSE };

struct outq_entry {
    struct batch *batch;
    uint32_t offset, end; /* the bytes that wait */
    enum outq_kind kind;
};

struct outq {
    struct outq_entry *ring;
    uint32_t first, count, cap;
    uint32_t messages; /* waiting, a partly sent one included */
    size_t bytes;      /* waiting */
};

/* Empty, without memory yet. */
void outq_init(struct outq *outq);
void outq_fini(struct outq *outq);

static inline bool outq_is_empty(const struct outq *outq)
{
    return outq->count == 0;
}

/* Adds what stands in the batch from `offset` on; takes a count of its own. ERR_NOMEM changes
 * nothing. */
MUST_USE enum err outq_push(struct outq *outq, struct batch *batch, uint32_t offset,
                            enum outq_kind kind);

/* Adds a frame to the last entry if that is of this kind and nobody else holds its batch, so that
 * many small frames to one client cost their bytes and no more; false when there is no such entry,
 * or no memory. */
bool outq_append(struct outq *outq, struct slice frame, enum outq_kind kind);

/* Puts `batch` in the place of an entry of this kind of which nothing was sent yet; false when
 * there is none. */
bool outq_replace(struct outq *outq, struct batch *batch, enum outq_kind kind);

/* The first `max` waiting pieces; returns how many there are. */
int outq_gather(const struct outq *outq, struct iovec *parts, int max);

/* `sent` bytes from the front are gone; returns how many messages are complete by that. */
uint32_t outq_advance(struct outq *outq, size_t sent);

/* Keeps only the rest of a message that was sent in part, so that a Close may follow; returns how
 * many messages were dropped. */
uint32_t outq_drop_unsent(struct outq *outq);
