#pragma once

/*
 * Who is where, on all pods, and who is typing: the thread that owns all of that.
 *
 *     loops: coming, going, status, typing ─▶ ┌ presence ┐ ─▶ what this pod's events clients are
 * told bus: other pods' words, answers ──────▶ └──────────┘ ─▶ Redis: a hash a room, a lease,
 * signals
 *
 * What clients here do goes into the roster, from there into the replicas of rooms that have events
 * clients here, and to Redis. What other pods say goes into the same replicas. Each replica decides
 * what its clients are told.
 *
 *     realtime:presence:{room}   hash: {lease}:{user} to the record of that pod (record.h)
 *     realtime:lease:{lease}     the pod's id, for LEASE_MS unless renewed
 *     realtime-events/{room}     signals, beside what clients are told
 *
 * While Redis is away nobody is held gone for that. When it is back every pod writes its state
 * anew, and gives the others SETTLE_MS for it before it judges their leases.
 *
 * Threads: create, use_bus, start, leave, stop, destroy: main. All else: any, never blocking; the
 * callbacks run on the presence thread and must not block.
 * Owns: its thread, and clients' records.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/slice.h"
#include "core/net/loop.h"
#include "core/presence/replica.h"
#include "core/presence/roster.h"

struct bus;
struct presence;

enum {
    PRESENCE_LEASE_MS = 15000,
    PRESENCE_RENEW_MS = 5000,
    PRESENCE_POLL_MS = 2500,    /* how often other pods' leases are looked at */
    PRESENCE_SETTLE_MS = 10000, /* so long they have when Redis is back */
    PRESENCE_ROOM_MAX = 128,
    /* A query waits no longer for Redis, and is answered with what is known here. */
    PRESENCE_QUERY_MS = 1000,
};

/* Something that this pod's events clients are to be told. Good for the call. */
struct presence_tell {
    const char *event;
    struct slice room;
    struct slice data;   /* JSON */
    bool is_droppable;   /* not for clients that have much waiting */
    struct slice except; /* the id of a client that is not told; empty: none */
};

struct presence_opts {
    const char *pod_id;
    uint64_t grace_ms;
    uint64_t away_ms;
    void *arg;
    void (*tell)(void *arg, const struct presence_tell *tell);
    /* This pod wants signals for the group, which may have no members here. */
    void (*watch)(void *arg, struct slice group, bool wanted);
};

/* ERR_SYSTEM when descriptors are used up. */
MUST_USE enum err presence_create(const struct presence_opts *opts, struct presence **out);
/* Before the bus starts; without it the pod is alone. */
void presence_use_bus(struct presence *presence, struct bus *bus);
MUST_USE enum err presence_start(struct presence *presence);
/* Takes back what this pod said and answers all queries; while the bus still runs. */
void presence_leave_all(struct presence *presence);
/* After bus and hub have stopped. */
void presence_stop(struct presence *presence);
/* Takes NULL. */
void presence_destroy(struct presence *presence);

/* --- clients: each call on the client's loop, in the order of what happens --- */

/* Returns its record, to be handed in with each of the following. */
struct presence_client *presence_arrive(struct presence *presence,
                                        const struct roster_newcomer *newcomer);
void presence_enter(struct presence *presence, struct presence_client *client, struct slice room);
/* `id`: the client's, whose typing there is over. */
void presence_leave(struct presence *presence, struct presence_client *client, struct slice room,
                    struct slice id);
/* It has left all rooms; the record is gone after this. */
void presence_depart(struct presence *presence, struct presence_client *client);

/* Tells that a client which had fallen silent is back; through presence_touch. */
void presence_wake(struct presence *presence, struct presence_client *client);

/* The client sent something. Costs next to nothing. */
static inline void presence_touch(struct presence *presence, struct presence_client *client,
                                  uint64_t now_ms)
{
    uint32_t tick = (uint32_t)(now_ms / ROSTER_TICK_MS);
    if (atomic_load_explicit(&client->active, memory_order_relaxed) == tick)
        return;
    /* Sequentially consistent, like the other side's: it writes `away` and looks at `active`. */
    atomic_store(&client->active, tick);
    if (atomic_load(&client->away))
        presence_wake(presence, client);
}

/* The user's status, everywhere at once. */
void presence_update(struct presence *presence, struct presence_client *client,
                     enum presence_status status, struct slice text);

/* The user's name, by its newest token; ptr NULL: it has none. */
void presence_rename(struct presence *presence, struct presence_client *client, struct slice name);

/* The user types in the room, or stopped. */
void presence_type(struct presence *presence, struct presence_client *client, struct slice id,
                   struct slice room, bool typing);
/* The user's message went to the room: typing is over. Costs nothing where the user does not type.
 */
void presence_message(struct presence *presence, struct presence_client *client, struct slice room);

/* --- the bus: each call on its thread --- */

/* bus_opts.on_commands. */
void presence_on_commands(struct presence *presence, bool taken);
/* A group's subscription stands. */
void presence_on_subscribed(struct presence *presence, struct slice group);
/* A pod's signal to the group (signal_is_presence). */
void presence_on_signal(struct presence *presence, struct slice group, struct slice payload);

/* --- questions --- */

struct presence_query {
    struct list_link link; /* presence's, like the next two */
    struct loop_task task;
    struct presence *presence;
    uint64_t due_ms;
    size_t max;     /* users to be listed */
    size_t clients; /* written for `done`: of all users, those not to be seen included */
    bool lingering; /* with those whose leave was not told yet */
    /* On the presence thread, exactly once; may free the query. `users` is good for the call, in
     * the order of their coming where all are listed. */
    void (*done)(struct presence_query *query, const struct presence_view *users, size_t listed,
                 size_t count);
    unsigned room_len;
    char room[PRESENCE_ROOM_MAX];
};

/* Who is in the room, on all pods. */
void presence_ask(struct presence *presence, struct presence_query *query);

/* `{"user":…,"name":…,"status":…,"text":…,"clients":…,"since":…}` */
void presence_append_user(struct buf *buf, const struct presence_view *view);

struct presence_stats {
    uint64_t joins_total, leaves_total, updates_total; /* told, once for each room here */
    uint64_t typing_total;
    uint64_t pods_gone_total; /* other pods whose lease was over */
    size_t rooms;             /* with events clients here */
    size_t typists;
};

void presence_get_stats(struct presence *presence, struct presence_stats *out);
