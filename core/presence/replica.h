#pragma once

/*
 * One room as all pods together know it, and what this pod's events clients must be told about it.
 *
 *     user ─┬─ entry of pod A (2 clients, busy)         present while some entry has clients
 *           └─ entry of pod B (1 client)                and the user is not invisible
 *
 * Every pod that has events clients in a room keeps a replica and decides from it alone, so each
 * client is told once, by its own pod, and nobody has to be elected.
 *
 *     absent ── join ─▶ present ── the last client went ─▶ leaving ── grace ─▶ leave ─▶ absent
 *                          ▲                                  │
 *                          └──────────── came back ───────────┘
 *
 * Who comes back may do so on another pod, which learns the status that the user chose a moment
 * later: for the time of grace the word of the pod that the user left counts, if it is the latest.
 *
 * A replica that is new loads what Redis holds before it tells anything. Meanwhile words of pods
 * come live, so an entry that is gone stays as a mark until the load is over: what the load brings
 * later may be older.
 *
 * Threads: the presence thread. No I/O, no clock in here.
 * Owns: its users and their entries, with a count of each entry's lease.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/map.h"
#include "core/presence/leases.h"
#include "core/presence/record.h"

struct replica;

/* A user as it is shown. Good for the call. */
struct presence_view {
    struct slice user;
    struct slice name; /* ptr NULL: none */
    enum presence_status status;
    struct slice text;
    uint64_t since_ms;
    uint32_t clients; /* 0: the last one went a moment ago */
};

enum replica_event { REPLICA_JOIN, REPLICA_LEAVE, REPLICA_UPDATE };

/* What the replicas of a pod share. */
struct replicas {
    struct leases *leases;
    uint64_t grace_ms;
    struct list all;     /* struct replica */
    struct list leaving; /* users whose last client went, by when their grace is over */
    struct list held;    /* users of whom the word of a pod that they left counts, likewise */
    void *arg;
    void (*tell)(void *arg, struct replica *replica, enum replica_event event,
                 const struct presence_view *view);
};

struct replica {
    struct replicas *replicas;
    struct list_link link; /* in replicas->all */
    struct slice name;     /* of the room; the owner's */
    struct map users;
    bool loading; /* what Redis holds is on its way */
    bool silent;  /* and nothing was told yet */
};

void replicas_init(struct replicas *replicas, struct leases *leases, uint64_t grace_ms);

/* Leaves whose time has come. */
void replicas_expire(struct replicas *replicas, uint64_t now_ms);
/* When the next one is due; UINT64_MAX for never. */
uint64_t replicas_next_ms(const struct replicas *replicas);

/* Nothing is told before replica_end_load. */
void replica_init(struct replica *replica, struct replicas *replicas, struct slice name);
void replica_fini(struct replica *replica);

/* A pod's word. An older one than what is known changes nothing. */
void replica_apply(struct replica *replica, struct lease *lease, struct slice id,
                   const struct record *record, uint64_t now_ms);

/* Redis' words are loaded anew; telling goes on meanwhile. */
void replica_begin_load(struct replica *replica);
/* One of them. */
void replica_take_loaded(struct replica *replica, struct lease *lease, struct slice id,
                         const struct record *record, uint64_t now_ms);
/* All are here. `sweep`: of what was there before, that of other pods than `self` is gone which
 * neither came with the load nor was heard since it began. */
void replica_end_load(struct replica *replica, const struct lease *self, bool sweep,
                      uint64_t now_ms);

/* A pod is gone: its entries go, and leaves are told at once. `each` is called for each of them. */
void replica_drop_lease(struct replica *replica, struct lease *lease,
                        void (*each)(void *arg, struct replica *replica, struct slice user),
                        void *arg);

/* The clients of all users, be they shown or not. */
size_t replica_count_clients(const struct replica *replica);

/* All who are shown; `lingering`: those too whose leave is not told yet. */
void replica_each(const struct replica *replica, bool lingering,
                  void (*each)(void *arg, const struct presence_view *view), void *arg);
