#pragma once

/*
 * A pod as the bus sees one: announces rooms, publishes numbered texts, remembers what came.
 *
 * Threads: the test's; the bus thread calls back.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/bus/bus.h"

enum { BUS_POD_WAIT_MS = 20000 };

struct bus_pod_message {
    struct list_link link;
    bool trusted;
    char *room; /* NULL: global */
    char *payload;
};

struct bus_pod {
    struct bus *bus;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct list messages;  /* struct bus_pod_message, under the mutex, like all below */
    size_t count;          /* of messages */
    size_t subscribed;     /* calls of on_subscribed */
    size_t told_refused;   /* of on_refused */
    size_t looked;         /* calls of take_interest */
    size_t taken, refused; /* calls of on_commands, each way */
    uint64_t reached;      /* what on_reached said last */
    size_t reached_pods;
    struct list interest; /* not taken yet */
};

/*
 * The time of all pods. It runs, unless it was frozen; skipping works either way. What waits for a
 * timeout need not wait for real, and what must not time out cannot on a frozen clock, however slow
 * the machine is.
 */
uint64_t bus_pod_clock_ms(void);
void bus_pod_freeze(void);
void bus_pod_thaw(void);

/* Creates and starts a bus. `outbox_max` messages. */
void bus_pod_start(struct bus_pod *pod, const char *id, struct redis_url url, size_t outbox_max);
/* Stops within `ms`, and frees; lets time run. */
/* The same with a connection for commands. */
void bus_pod_start_commanding(struct bus_pod *pod, const char *id, struct redis_url url);
/* Stops within `ms`, and frees. */
void bus_pod_stop(struct bus_pod *pod, uint64_t ms);

void bus_pod_want(struct bus_pod *pod, const char *room, bool wanted);
/* Publishes {"n":<number>}; room NULL is global. */
void bus_pod_say(struct bus_pod *pod, const char *room, unsigned number);

/* The pod's bus has seen all that was asked of it so far, and what time it is now. */
void bus_pod_settle(struct bus_pod *pod);
/* Skips so much time for all pods, and settles this one: the others may still be asleep. */
void bus_pod_skip(struct bus_pod *pod, uint64_t ms);
/* Tells {"n":<number>} to a pod, NULL: to all. What comes so has the telling pod as its room. */
void bus_pod_tell(struct bus_pod *pod, const char *to, unsigned number, uint64_t ask);
/* What on_reached said of this number; 0: nothing in time. */
size_t bus_pod_await_reached(struct bus_pod *pod, uint64_t ask);

/* All of these wait BUS_POD_WAIT_MS at most. */
bool bus_pod_await(struct bus_pod *pod, bool (*is_so)(void *arg), void *arg);
bool bus_pod_await_connected(struct bus_pod *pod, bool connected);
bool bus_pod_await_messages(struct bus_pod *pod, size_t count);
bool bus_pod_await_subscribed(struct bus_pod *pod, size_t count);
bool bus_pod_await_taken(struct bus_pod *pod, size_t count);
bool bus_pod_await_refused(struct bus_pod *pod, size_t count);
bool bus_pod_await_outbox(struct bus_pod *pod, size_t messages);

/* Whether exactly {"n":from} … {"n":to - 1} came, in order, each once, trusted; forgets them. */
bool bus_pod_took_sequence(struct bus_pod *pod, unsigned from, unsigned to);
struct bus_pod_message *bus_pod_first(struct bus_pod *pod);
void bus_pod_forget(struct bus_pod *pod);
