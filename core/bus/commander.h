#pragma once

/*
 * The connection for commands: keys that pods share, and signals that are of no use later. Unlike
 * what the publisher sends, nothing waits here for a Redis that is away: a command fails then, at
 * once, and who gave it writes its state anew when commands are taken again.
 *
 *     any thread: bus_command ─▶ arrived ─▶ waiting ─▶ in flight ─▶ done (bus thread)
 *
 * It has a connection of its own so that a long answer (a large room's state) holds up no message,
 * and so that the answers come in the order of the commands without regard to what else is under
 * way.
 *
 * Threads: the bus thread, but for commander_give: any.
 * Owns: its connection, and the commands until they are done.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/lock.h"
#include "core/base/slice.h"
#include "core/bus/bus.h"
#include "core/bus/redis_link.h"

enum {
    /* Past this, commands whose answer nobody wants are dropped. */
    COMMANDER_BYTES_MAX = 64 * 1024 * 1024,
};

struct commander_opts {
    size_t max_bytes;
    void *arg;
    void (*on_commands)(void *arg, bool taken);
};

struct commander {
    struct commander_opts opts;
    struct redis_link link;
    struct list waiting;   /* struct command, oldest first */
    struct list in_flight; /* sent, no answer yet */
    bool open;             /* commands are taken */
    struct log_pause refused_pause;

    struct lock lock;
    struct list arrived GUARDED_BY(lock);
    size_t bytes GUARDED_BY(lock); /* of all that are not done */
    bool running GUARDED_BY(lock);
    bool overflowed GUARDED_BY(lock); /* some were dropped */
};

/* `link_opts` without callbacks. */
void commander_init(struct commander *commander, const struct redis_link_opts *link_opts,
                    const struct commander_opts *opts);
/* Stopped before, or never started. */
void commander_fini(struct commander *commander);

void commander_start(struct commander *commander);
/* Whatever is not done fails; later commands fail in the call. */
void commander_stop(struct commander *commander);

/* A command of `count` words, each put together from a list of pieces that ends with a ptr NULL.
 * `done` may be NULL. Whether the bus thread has something to do. */
bool commander_give(struct commander *commander, const struct slice *const *words, size_t count,
                    bus_done *done, void *arg);

/* Every turn, before the flush of its link. `ready`: the other connections stand and messages
 * flow. */
void commander_turn(struct commander *commander, bool ready);

/* Nothing is left to send or to be answered. */
bool commander_is_idle(struct commander *commander);
