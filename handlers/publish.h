#pragma once

/*
 * The one way of a message to those who get it: written as clients see it, given to the members on
 * this pod and to the other pods.
 *
 * Threads: any that has tools of its own.
 */

#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/chat/message.h"

struct envelope;
struct room;
struct service;

/* What a thread needs for it. */
struct publish_tools {
    struct compressor *compressor;
    struct buf *scratch; /* overwritten; holds the message afterwards */
};

struct publication {
    const struct envelope *envelope;
    struct slice name;    /* of the room; ptr NULL: everybody */
    struct room *room;    /* NULL: it has no members on this pod */
    struct slice from;    /* where the envelope has none */
    bool heavy;           /* of a client that brings much */
    uint64_t received_ns; /* clock_monotonic_ns */
};

/* Tells the user's events clients, on every pod, what stands in the tools' scratch: an envelope as
 * clients get it. Without memory nobody hears of it. */
void publish_to_user(struct service *service, struct slice user, uint64_t received_ns,
                     const struct publish_tools *tools);

/* ERR_NOMEM: nobody gets it. */
MUST_USE enum err publish(struct service *service, const struct publication *publication,
                          const struct publish_tools *tools);
