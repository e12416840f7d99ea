#pragma once

/*
 * The publishing connection: takes messages from the outbox, sends them, keeps each until Redis has
 * answered, and after a loss sends again what had no answer.
 *
 *     DOWN ─▶ HOLD (the others shall be back first) ─▶ FLOW
 *       ▲                                                │
 *       └──────────────────── lost ◀─────────────────────┘
 *
 * All pods lose a dying Redis together. Who is back first and publishes at once publishes to
 * nobody, so the publisher waits until realtime:global has as many subscribers as it had before
 * the loss (PUBSUB NUMSUB), and not for ever.
 *
 * Threads: the bus thread; published_total: any.
 * Owns: its connection and the messages in flight.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/bus/outbox.h"
#include "core/bus/redis_link.h"

enum {
    PUBLISHER_IN_FLIGHT_MAX = 1024,
    PUBLISHER_REJOIN_MS = 2000, /* so long the others have to come back */
    /* Where it is not known how many there were: Redis was away when this pod started. */
    PUBLISHER_REJOIN_BLIND_MS = 1000,
    PUBLISHER_REJOIN_POLL_MS = 50,
    /* How often the subscribers are counted while all is well; also the keep-alive. */
    PUBLISHER_CENSUS_MS = 500,
};

enum publisher_phase { PUBLISHER_DOWN, PUBLISHER_HOLD, PUBLISHER_FLOW };

struct publisher {
    struct redis_link link;
    struct outbox *outbox;
    struct slice prefix; /* what stands for the opening brace of a payload */
    void *arg;
    /* Redis took the message that asked (its `ask`, and all lower ones), and so many pods listen to
     * each other. NULL: nobody wants to know. */
    void (*on_reached)(void *arg, uint64_t ask, long long pods);
    enum publisher_phase phase;
    struct list in_flight; /* sent, no answer yet; oldest first */
    size_t in_flight_count;
    struct list settled; /* answered in this turn */
    size_t refused;      /* of these, refused for good */

    /* The census: how many subscribers realtime:global and realtime-control have. 0 is "not known".
     * What PUBLISH returns counts whoever looks on by a pattern, too. */
    bool asking;          /* PUBSUB NUMSUB is on its way */
    size_t asked_behind;  /* answers to messages that come before its answer */
    uint64_t next_ask_ms; /* when to ask again */
    long long present;    /* on this connection */
    long long expected;   /* before the loss */
    uint64_t taken_ask;   /* the last `ask` among messages that Redis took */
    uint64_t asking_ask;  /* what that was when the census was asked for */
    uint64_t told_ask;    /* up to which on_reached was called */

    uint64_t lost_ms;        /* 0: never had a connection */
    bool was_tried;          /* an attempt failed since the start */
    uint64_t patient_ms;     /* HOLD waits for the others until then */
    uint64_t flow_anyway_ms; /* and for our own subscriptions until then */
    atomic_uint_fast64_t published_total;
    struct log_pause refused_pause, dropped_pause;
};

/* `opts` without callbacks. `prefix` is good as long as the publisher. */
void publisher_init(struct publisher *publisher, const struct redis_link_opts *opts,
                    struct outbox *outbox, struct slice prefix);
/* What is in flight goes back to the outbox. */
void publisher_fini(struct publisher *publisher);

/* Every turn, before the flush of its link. `subscribed`: our own subscriptions stand.
 * `in_haste`: the others are not waited for. */
void publisher_turn(struct publisher *publisher, uint64_t now_ms, bool subscribed, bool in_haste);

uint64_t publisher_next_ms(const struct publisher *publisher);
