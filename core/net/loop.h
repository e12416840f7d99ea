#pragma once

/*
 * One thread with an epoll set and a mailbox. A turn is always the same:
 *
 *     epoll_wait ─▶ events of sources ─▶ tasks from the mailbox ─▶ end of turn (write, timers,
 * free)
 *
 * so that whatever a turn brought is written together at its end.
 *
 * Threads: create, start, stop, destroy: the main thread. loop_post and loop_pending: any. All
 * else, and every callback: the loop's own thread, asserted in debug builds.
 * Owns: its thread, epoll and event descriptors. Not the sources, and not the tasks: a task belongs
 * to its run function from the moment that it is called.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct loop;

/* A small piece of work, embedded in what it is about. */
struct loop_task {
    struct loop_task *next;
    void (*run)(struct loop_task *task, struct loop *loop);
};

/* A descriptor in the epoll set; embedded in what it belongs to. */
struct loop_source {
    int fd;            /* -1 while there is none */
    uint32_t interest; /* EPOLLIN, EPOLLOUT: what the set was last told */
};

struct loop_opts {
    const char *name; /* of the thread, at most 15 characters; copied */
    void *arg;        /* for the callbacks */
    /* A source is ready. A source removed earlier in the same turn is still reported when the
     * kernel had told of it before, so what it stands in is freed at the end of the turn only. */
    void (*on_events)(void *arg, struct loop_source *source, uint32_t events);
    /* Ends the turn; returns in how many milliseconds the next one must come at the latest, -1 for
     * no such time. */
    int (*on_turn_end)(void *arg);
    /* Whether sources should rest for a moment because others cannot keep up; mailbox and end of
     * turn go on. May be NULL. */
    bool (*should_rest)(void *arg);
    /* A turn that has tasks begins no sooner than this after the one before: what comes meanwhile
     * is done together, for one wake-up. 0: at once. */
    unsigned gather_ms;
    /* What time it is in loop_now_ms; NULL: clock_monotonic_ms. Tests set the time themselves. */
    uint64_t (*clock_ms)(void);
};

/* ERR_SYSTEM with errno when descriptors are used up; `*out` is then NULL. */
MUST_USE enum err loop_create(const struct loop_opts *opts, struct loop **out);
/* ERR_SYSTEM when no thread could be had. */
MUST_USE enum err loop_start(struct loop *loop);
/* Runs the mailbox empty once more, ends the thread and waits for it. Harmless when not started. */
void loop_stop(struct loop *loop);
/* Takes NULL. The loop is stopped, or was never started. */
void loop_destroy(struct loop *loop);

/*
 * Puts a task into the mailbox; first in, first out, whoever posts. A task posted by the loop's own
 * thread before the turn's mailbox phase runs in the same turn. The loop is woken only when the
 * mailbox turns from empty.
 */
void loop_post(struct loop *loop, struct loop_task *task);

/* The same for a task that another one will soon follow: it does not wake the loop. */
void loop_post_lazily(struct loop *loop, struct loop_task *task);

/* How many tasks wait, roughly: for deciding to rest. */
size_t loop_pending(const struct loop *loop);

bool loop_is_current(const struct loop *loop);

/* The clock at the start of the turn. */
uint64_t loop_now_ms(const struct loop *loop);

/*
 * Whether every source that had something to report was reported by now. A turn takes some hundred
 * of them: on a loop that stood still, what a source missed may be waiting in the kernel yet.
 */
bool loop_has_caught_up(const struct loop *loop);

/* ERR_SYSTEM with errno (ENOMEM, ENOSPC). The source has its descriptor and no interest yet. */
MUST_USE enum err loop_add(struct loop *loop, struct loop_source *source, uint32_t interest);
/* Changes the interest, without a system call when it is what it was. */
void loop_set_interest(struct loop *loop, struct loop_source *source, uint32_t interest);
/* Before the descriptor is closed: the open file may live on under another number. */
void loop_remove(struct loop *loop, struct loop_source *source);
