#pragma once

/*
 * Frames in a row, to be sent from one place to many: what a room got in a turn, or what a single
 * client is told.
 *
 *     bytes ▸ │frame 0│frame 1│  frame 2  │        ends = {8, 16, 28}
 *
 * A member's socket takes it with one send; what the kernel refuses waits as (batch, offset).
 *
 * Threads: the loop that made it; the count is not atomic.
 * Owns: its bytes; freed with the last count.
 */

#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

enum {
    BATCH_BYTES_MAX =
        64 * 1024, /* a full batch is sent and the next begun; one frame always fits */
    BATCH_FIRST_BYTES = 512,
    BATCH_FIRST_COUNT = 4,
};

struct batch {
    unsigned refs;
    uint32_t len, cap;
    uint32_t count, count_cap; /* of messages */
    size_t *held;              /* counts its bytes; NULL: nobody does */
    char *bytes;
    uint32_t *ends;        /* offset behind each message */
    uint64_t *received_ns; /* when this pod took each in */
    /* Where these point at first: most batches are a message or two, and cost one allocation. */
    uint64_t first_received_ns[BATCH_FIRST_COUNT];
    uint32_t first_ends[BATCH_FIRST_COUNT];
    char first_bytes[BATCH_FIRST_BYTES];
};

/* One count, for the caller. NULL without memory. */
MUST_USE struct batch *batch_try_create(void);
struct batch *batch_retain(struct batch *batch);
/* Takes NULL. */
void batch_release(struct batch *batch);

/* Its bytes count in `*held` from now on, once however often it is asked, until it is freed. */
void batch_hold(struct batch *batch, size_t *held);

/* ERR_FULL: does not fit any more; ERR_NOMEM. Both leave the batch as it was. Who holds a place in
 * it by offset is not disturbed. */
MUST_USE enum err batch_append(struct batch *batch, struct slice frame, uint64_t received_ns);

/* Takes back the last batch_append, which nobody has queued yet. */
void batch_remove_last(struct batch *batch);

/* Messages of which at least one byte stands at or behind `offset`. */
uint32_t batch_messages_from(const struct batch *batch, uint32_t offset);

/* The end of the message that has the byte before `offset`: `offset` itself at a boundary. */
uint32_t batch_boundary_from(const struct batch *batch, uint32_t offset);
