#pragma once

/*
 * Messages on their way to Redis, oldest first, bounded by number and by bytes.
 *
 *     push ─▶ [ waiting … ] ─ take ─▶ [ in flight: the publisher's list ] ─ settle ─▶ gone
 *                   ▲                              │
 *                   └──────── give_back ───────────┘  to the front, in order
 *
 * What is in flight still counts. Past a bound the oldest message that waits is dropped, and
 * counted. While messages flow, the bound on their number is at least OUTBOX_FLOWING_MIN, so that a
 * small REDIS_OUTBOX, which is about Redis being away, loses nothing in a burst.
 *
 * Threads: push and the questions: any. take, settle, give_back, set_flowing: the bus thread.
 * Owns: the messages, with a count of each blob; those taken are lent to the publisher.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/blob.h"
#include "core/base/list.h"
#include "core/base/lock.h"
#include "core/base/slice.h"

enum { OUTBOX_FLOWING_MIN = 16384 };

struct outbox_message {
    struct list_link link;
    struct blob *blob;
    size_t offset;   /* the payload begins here in the blob */
    uint64_t ask;    /* who asks how many get it; 0: nobody */
    bool is_global;  /* no room */
    size_t room_len; /* bytes */
    char room[];
};

struct outbox {
    size_t max_messages; /* while away */
    size_t max_bytes;
    struct lock lock;
    struct list waiting GUARDED_BY(lock);
    size_t messages GUARDED_BY(lock); /* waiting and in flight */
    size_t bytes GUARDED_BY(lock);    /* of both */
    bool flowing GUARDED_BY(lock);    /* the publisher takes messages */
    uint64_t dropped GUARDED_BY(lock);
};

void outbox_init(struct outbox *outbox, size_t max_messages, size_t max_bytes);
/* Frees what waits; nothing is in flight. */
void outbox_fini(struct outbox *outbox);

/* Keeps a count of the blob. Returns how many messages were dropped for it, itself perhaps
 * included; `*must_wake` says whether the publisher has something to do now. */
size_t outbox_push(struct outbox *outbox, struct slice room, struct blob *blob, size_t offset,
                   bool *must_wake);

/* The same for a message of which somebody wants to know how many get it. */
size_t outbox_push_asking(struct outbox *outbox, struct slice room, struct blob *blob,
                          size_t offset, uint64_t ask, bool *must_wake);

/* Moves the oldest messages to the end of `out`: at most `max_count`, and no more than `max_bytes`
 * but for a first one that is larger. Returns how many. */
size_t outbox_take(struct outbox *outbox, size_t max_count, size_t max_bytes, struct list *out);

/* Frees messages that were taken: Redis has them, or refused them for good (`dropped`, a count). */
void outbox_settle(struct outbox *outbox, struct list *taken, size_t dropped);

/* Puts messages that were taken back, in order, in front of those that wait. Empties `taken`. */
void outbox_give_back(struct outbox *outbox, struct list *taken);

/* Says whether the publisher takes messages. Returns how many were dropped because the bound got
 * smaller. */
size_t outbox_set_flowing(struct outbox *outbox, bool flowing);

struct outbox_counts {
    size_t messages;
    size_t bytes;
    uint64_t dropped;
};

struct outbox_counts outbox_get_counts(struct outbox *outbox);
