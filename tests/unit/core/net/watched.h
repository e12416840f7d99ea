#pragma once

/*
 * A loop under watch: what it calls is noted in order, a letter an event, and tests await what it
 * did without looking at the time.
 *
 *     e  an event of a source      .  the end of a turn      |  it stands still (watched_hold)
 *     any other letter: the task of that letter ran
 *
 * Threads: the test's own, unless it says otherwise.
 * Owns: the loop, from watched_create until watched_stop; a step from step_make until step_finish.
 */

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/net/loop.h"

enum { WATCHED_EVENTS_MAX = 4096 };

struct watched {
    struct loop *loop;
    atomic_int turns;
    atomic_int timeout_ms; /* what the end of a turn asks for */
    atomic_bool rests;
    sem_t turned; /* posted at the end of each turn */
    sem_t ready;  /* posted for each event of a source */
    char record[WATCHED_EVENTS_MAX];
    size_t recorded; /* the loop's thread; others once it stands still */
    void (*on_source)(struct watched *watched, struct loop_source *source, uint32_t events);
};

/* Waits for the semaphore, and fails the test for good when that takes too long. */
void watched_wait(sem_t *semaphore);

/* `gather_ms` as in loop_opts. */
void watched_create(struct watched *watched, unsigned gather_ms);
void watched_start(struct watched *watched);
void watched_stop(struct watched *watched);

/* A task that is noted, and awaited. */
struct step {
    struct loop_task task;
    struct watched *watched;
    void (*run)(struct step *step); /* on the loop; NULL: nothing */
    sem_t done;
    char letter; /* '\0': none */
    struct step *then;
};

struct step *step_make(struct watched *watched, char letter, void (*run)(struct step *));
void step_post(struct step *step);
/* Waits until it ran, and frees it. */
void step_finish(struct step *step);

/* Runs this on the loop, and waits for it. */
void watched_run(struct watched *watched, void (*run)(struct step *));

/* The loop stands still in a task, while others post; one loop at a time. */
void watched_hold(struct watched *watched);
void watched_let_go(void);
/* The same in two steps: on it goes; and it did. */
void watched_open(void);
void watched_forget(void);
