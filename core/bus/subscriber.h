#pragma once

/*
 * The subscribed connection: keeps Redis' idea of what this pod wants in step with the interest,
 * and turns what comes into messages.
 *
 * On every new connection the rooms come first, then what the pods say to each other (which an
 * older Redis user may have no right to: the pod then does without), and realtime:global last.
 * Redis answers in order, so when the latter is confirmed, all the rooms are; and whoever counts
 * its subscribers counts pods that have all their rooms.
 *
 * A room that Redis refuses (a user whose rights do not reach so far) concerns nobody but that
 * room: every channel has a command of its own, and answers are counted, so that an error tells
 * which room it is about. Who asked for the room is told by its waiter; whoever is in it still
 * after BUS_AWAIT_MS, by when those have left, uses it, and is told then.
 *
 * Threads: the bus thread; the totals: any.
 * Owns: its connection, the interest, what each pod said lately.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/bus/interest.h"
#include "core/bus/recent.h"
#include "core/bus/redis_link.h"

struct subscriber_opts {
    struct slice own_mark; /* `{"pod":"<own id>"`; good as long as the subscriber */
    struct slice pod;      /* the own id; good as long as the subscriber */
    size_t payload_max;    /* bytes */
    size_t control_max;    /* bytes of what a pod says */
    void *arg;
    void (*on_message)(void *arg, struct slice room, struct slice payload, bool trusted);
    void (*on_subscribed)(void *arg, struct slice room);
    void (*on_refused)(void *arg, struct slice room);
    void (*on_control)(void *arg, struct slice pod, struct slice payload);
};

struct subscriber {
    struct subscriber_opts opts;
    struct redis_link link;
    struct interest interest;
    struct recent recent;
    bool global_asked, global_stands;
    uint64_t asked, answered; /* on this connection: answers asked for, and those that came */
    uint64_t control_at;      /* the number of the answer to the first control channel */
    size_t control_pending;   /* answers to the control channels that are missing */
    bool settled_any;         /* a room came to stand, or was refused; whoever looks clears it */
    atomic_uint_fast64_t received_total, duplicates_total, invalid_total, refused_total;
    struct log_pause invalid_pause, memory_pause, control_pause, refused_pause;
};

/* `link_opts` without callbacks. */
void subscriber_init(struct subscriber *subscriber, const struct redis_link_opts *link_opts,
                     const struct subscriber_opts *opts);
void subscriber_fini(struct subscriber *subscriber);

void subscriber_want(struct subscriber *subscriber, struct slice room, bool wanted);

/* Every turn, before the flush of its link. */
void subscriber_turn(struct subscriber *subscriber, uint64_t now_ms);

uint64_t subscriber_next_ms(const struct subscriber *subscriber);

/* All rooms that were wanted when the connection began are subscribed. */
static inline bool subscriber_is_ready(const struct subscriber *subscriber)
{
    return subscriber->global_stands;
}

static inline size_t subscriber_count(const struct subscriber *subscriber)
{
    return subscriber->interest.standing + (subscriber->global_stands ? 1 : 0);
}
