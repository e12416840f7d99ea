#pragma once

/*
 * The other pods, through Redis: PUBLISH what clients here said, SUBSCRIBE to the rooms that have
 * members here, hand over what others said (CONTRACT: Redis).
 *
 *     any thread: bus_publish ─▶ outbox ─▶ ┌ bus thread ┐ ─▶ publishing connection   ─▶ Redis
 *     interest changes ──────────────────▶ │            │ ◀─ subscribed connection ◀─
 *     bus_command, signals ──────────────▶ └────────────┘ ◀▶ connection for commands ◀▶
 *
 * Threads: create, start, stop, destroy: the main thread. bus_publish, bus_interest_changed,
 * bus_await, bus_command, bus_signal, bus_signal_pods, bus_get_stats: any thread, never blocking.
 * All callbacks run on the bus thread and must not block.
 *
 * Owns: its thread, its connections, the outbox. Never the room's members.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/blob.h"
#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/slice.h"
#include "core/bus/redis_url.h"

enum {
    BUS_BACKOFF_MIN_MS = 100,
    BUS_BACKOFF_MAX_MS = 5000,
    BUS_KEEPALIVE_MS = 5000,      /* a PING on each connection after so long without an answer */
    BUS_ANSWER_TIMEOUT_MS = 5000, /* no answer for so long: the connection is given up */
    BUS_AWAIT_MS = 500,           /* a waiter is let go at the latest after so long */
    BUS_CONTROL_MAX = 1024 * 1024 /* bytes of what a pod says to another */
};

/* Something that waits until a room's subscription stands at Redis (bus_await). */
struct bus_waiter {
    struct list_link link;                   /* the bus's, while waiting */
    uint64_t deadline_ms;                    /* the bus's */
    struct slice room;                       /* the caller's, good until done is called; ptr NULL:
                                              * bus_let_go is awaited */
    bool refused;                            /* when done is called: Redis refuses the room */
    void (*done)(struct bus_waiter *waiter); /* bus thread, exactly once; may free the waiter */
};

struct bus;

struct bus_opts {
    const struct redis_url *url; /* copied */
    const char *pod_id;          /* copied; characters that need no JSON escape */
    size_t outbox_max;           /* messages that wait while Redis is away */
    size_t outbox_max_bytes;     /* and bytes */
    size_t payload_max;          /* larger payloads from Redis are dropped with a warning */
    uint64_t (*clock_ms)(void);  /* NULL: clock_monotonic_ms; tests have a time of their own */
    void *arg;                   /* for the callbacks */
    /*
     * A message for `room` (ptr NULL: the global one). `trusted`: another pod of this service wrote
     * `payload`, which is an envelope as it goes to clients, its pod member taken off (valid UTF-8
     * is checked). Otherwise some program wrote it, and it is any bytes at all. Good for the call.
     */
    void (*on_message)(void *arg, struct slice room, struct slice payload, bool trusted);
    /*
     * Asks for all changes of interest since the last call, in order: `each(bus, room, wanted)` for
     * every room that got its first member or lost its last one.
     */
    void (*take_interest)(void *arg, void (*each)(struct bus *bus, struct slice room, bool wanted),
                          struct bus *bus);
    /* A room's subscription stands now (Redis confirmed it). */
    void (*on_subscribed)(void *arg, struct slice room);
    /* Redis refuses the room, has done so for BUS_AWAIT_MS, and it is wanted still: nothing comes
     * for it from other pods. Told once for each connection; the room is asked for again on the
     * next one, and when it is wanted anew. */
    void (*on_refused)(void *arg, struct slice room);
    /* Another pod said this (bus_tell); valid UTF-8, good for the call. NULL: nobody listens, and
     * nothing is subscribed to for it. */
    void (*on_control)(void *arg, struct slice pod, struct slice payload);
    /* What was told under this number, or a lower one, is with so many pods, this one included. May
     * be NULL. */
    void (*on_reached)(void *arg, uint64_t ask, size_t pods);
    /* Commands are carried out from now on, or fail from now on. Told `taken` again, some were lost
     * meanwhile. NULL: bus_command and bus_signal are not used, and have no connection. */
    void (*on_commands)(void *arg, bool taken);
};

/* An answer of Redis, good for the call that hands it over. */
struct bus_reply;

/* A command's end: NULL when it was not carried out, or refused. On the bus thread, or in the call
 * of bus_command when the bus does not run. */
typedef void bus_done(void *arg, const struct bus_reply *reply);

struct bus *bus_create(const struct bus_opts *opts);
/* ERR_SYSTEM when no thread could be had. Redis being away is not an error. */
MUST_USE enum err bus_start(struct bus *bus);

/*
 * Sends `payload` (JSON from `offset` on, an object with at least one member; the pod member is put
 * in front here) to the room, NULL ptr: global. Keeps a count of the blob until Redis has it. When
 * the outbox is full the oldest message is dropped and counted. Messages of one thread stay in
 * order.
 */
void bus_publish(struct bus *bus, struct slice room, struct blob *payload, size_t offset);

/*
 * Says something to another pod, to all others with a NULL ptr. Payload, memory and order are as
 * with bus_publish. With `ask` not 0, which is higher than any before, on_reached tells how many
 * get it, unless that is never known.
 */
void bus_tell(struct bus *bus, struct slice pod, struct blob *payload, uint64_t ask);

/* Gives Redis a command, such as SET, of `count` words. Commands of one thread are carried out in
 * order, with no regard to bus_publish. They fail while Redis is away, and until the other pods are
 * back after that. `done`, when there is one, is called exactly once. */
void bus_command(struct bus *bus, const struct slice *words, size_t count, bus_done *done,
                 void *arg);

/* Publishes to the room like bus_publish, but by way of the commands: nothing waits for Redis, and
 * the signal comes behind the commands that were given before it. */
void bus_signal(struct bus *bus, struct slice room, struct slice json);

/* Says something to all other pods in the same way, once: what gets lost is not said again. `done`
 * as of a command; its reply is the number of those who listen, this pod included. */
void bus_signal_pods(struct bus *bus, struct slice json, bus_done *done, void *arg);

/* A text or status; ptr NULL for anything else, a missing value included. */
struct slice bus_reply_text(const struct bus_reply *reply);
/* A number; 0 for anything else. */
long long bus_reply_number(const struct bus_reply *reply);
/* The elements of an array; 0 and NULL for anything else. */
size_t bus_reply_count(const struct bus_reply *reply);
const struct bus_reply *bus_reply_at(const struct bus_reply *reply, size_t i);

/* take_interest has something to take. */
void bus_interest_changed(struct bus *bus);

/* Calls waiter->done once the room's subscription stands or is refused, at once when Redis is away,
 * and after BUS_AWAIT_MS in any case. The room's interest has been announced before. */
void bus_await(struct bus *bus, struct bus_waiter *waiter);

/* Lets a waiter go now that has no room. Bus thread. */
void bus_let_go(struct bus *bus, struct bus_waiter *waiter);

/* Both connections are up and every wanted room is subscribed again. */
bool bus_is_connected(const struct bus *bus);

struct bus_stats {
    bool connected;
    bool ever_connected;       /* Redis was reached since the start */
    uint64_t away_ms;          /* since when it is away, in milliseconds ago; 0 while connected */
    uint64_t reconnects_total; /* times the connection was established again */
    uint64_t published_total;  /* confirmed by Redis */
    uint64_t received_total;   /* messages taken from Redis, own echoes not counted */
    uint64_t duplicates_total; /* dropped because they had come already */
    uint64_t invalid_total;    /* foreign payloads dropped (counted by bus_count_invalid) */
    uint64_t refused_total;    /* subscriptions to rooms that Redis refused */
    uint64_t outbox_dropped_total;
    size_t outbox_messages; /* waiting now, those on the way without an answer included */
    size_t outbox_bytes;
    size_t subscriptions;
};

void bus_get_stats(struct bus *bus, struct bus_stats *out);
/* on_message found a foreign payload that is no message. Bus thread. */
void bus_count_invalid(struct bus *bus);

/* Lets all waiters go and lets later ones go at once: before HTTP is stopped. */
void bus_release_waiters(struct bus *bus);

/* Gives the outbox until `deadline_ms` (of the bus's clock) to empty when Redis is up, leaves
 * Redis, ends the thread. */
void bus_stop(struct bus *bus, uint64_t deadline_ms);
/* Takes NULL; stopped before. */
void bus_destroy(struct bus *bus);
