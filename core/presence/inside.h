#pragma once

/*
 * What the parts of presence ask of each other: presence.c (the thread, what comes in), announce.c
 * (what this pod says), load.c (what Redis holds, and queries), ask.c (answers of Redis). Nobody
 * else includes this.
 *
 * Threads: the presence thread.
 */

#include "core/presence/presence.h"
#include "core/presence/typing.h"

struct presence {
    struct presence_opts opts;
    struct loop *loop;
    struct bus *bus; /* NULL: the pod is alone */
    struct roster roster;
    struct replicas replicas;
    struct leases leases;
    struct typing typing;
    struct lease *self;
    struct roster_room *global;
    struct buf scratch;
    bool is_closing;

    /* announce.c */
    bool store_is_up; /* Redis takes commands */
    bool is_written;  /* something was said under the lease */
    uint64_t rev;
    struct list dirty; /* rooms with something to say */
    uint64_t renew_ms, refresh_ms;

    /* load.c */
    struct list loads;   /* struct load */
    struct list queries; /* that wait for their turn */
    unsigned asides;     /* loads that are made for a query only */
    uint64_t judge_ms;   /* from then on leases are judged */
    uint64_t poll_ms;
    bool is_settled; /* and rooms were loaded anew after that */

    uint64_t scan_ms;
    atomic_size_t typists, rooms;       /* for the statistics */
    atomic_uint_fast64_t told_total[3]; /* by enum replica_event */
    atomic_uint_fast64_t typing_total, pods_gone_total;
};

static inline struct roster_time presence_now(const struct presence *presence, uint64_t wall_ms)
{
    return (struct roster_time){.now_ms = loop_now_ms(presence->loop), .wall_ms = wall_ms};
}

/* --- announce.c --- */

void announce_init(struct presence *presence);
/* roster_opts.changed and .note */
void announce_changed(void *arg, const struct roster_user *user, const struct roster_seat *seat);
void announce_note(void *arg, const struct roster_user *user, bool ask);
void announce_typing(struct presence *presence, struct slice room, struct slice user, bool typing);
/* Takes everything back. */
void announce_leave(struct presence *presence);
/* Commands are taken, or not any more. */
void announce_commands(struct presence *presence, bool taken);
/* Redis does not have the pod's lease any more: all is said anew. */
void announce_lease_lost(struct presence *presence);
/* Signals what the turn brought, renews the lease. */
void announce_turn(struct presence *presence, uint64_t now_ms);
uint64_t announce_next_ms(const struct presence *presence);

/* A field of the room's hash of a pod that is gone, or of a user who is. */
void announce_delete(struct presence *presence, struct slice room, const struct lease *lease,
                     struct slice user);

/* --- ask.c --- */

/* A command's answer on the presence thread: all its texts in a row, arrays opened up. */
struct ask {
    struct loop_task task;
    struct presence *presence;
    void (*then)(struct presence *presence, void *arg, const struct ask *ask);
    void *arg;
    bool failed;
    size_t count;
    struct slice *texts; /* ptr NULL: no such value */
    char *bytes;
};

void presence_command(struct presence *presence, const struct slice *words, size_t count,
                      void (*then)(struct presence *presence, void *arg, const struct ask *ask),
                      void *arg);

/* --- load.c --- */

/* The room's first events client came, and the last one went. */
void load_track(struct presence *presence, struct roster_room *room);
void load_untrack(struct presence *presence, struct roster_room *room);
void load_subscribed(struct presence *presence, struct roster_room *room);
/* What Redis holds counts again: all rooms are loaded anew. */
void load_all(struct presence *presence, uint64_t now_ms);
void load_query(struct presence *presence, struct presence_query *query);
/* Answers all queries now. */
void load_abandon(struct presence *presence);
void load_turn(struct presence *presence, uint64_t now_ms);
uint64_t load_next_ms(const struct presence *presence);
