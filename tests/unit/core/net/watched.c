#include "tests/unit/core/net/watched.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <time.h>

#include "core/base/mem.h"

enum { WAIT_S = 20 };

void watched_wait(sem_t *semaphore)
{
    struct timespec until;
    int result;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    do
        result = sem_timedwait(semaphore, &until);
    while (result == -1 && errno == EINTR);
    CU_ASSERT_EQUAL_FATAL(result, 0);
}

static void note(struct watched *watched, char event)
{
    if (watched->recorded < WATCHED_EVENTS_MAX - 1)
        watched->record[watched->recorded++] = event;
}

static void on_events(void *arg, struct loop_source *source, uint32_t events)
{
    struct watched *watched = arg;
    note(watched, 'e');
    if (watched->on_source != NULL)
        watched->on_source(watched, source, events);
    sem_post(&watched->ready);
}

static int on_turn_end(void *arg)
{
    struct watched *watched = arg;
    note(watched, '.');
    atomic_fetch_add(&watched->turns, 1);
    sem_post(&watched->turned);
    return atomic_load(&watched->timeout_ms);
}

static bool should_rest(void *arg)
{
    struct watched *watched = arg;
    return atomic_load(&watched->rests);
}

void watched_create(struct watched *watched, unsigned gather_ms)
{
    *watched = (struct watched){.timeout_ms = -1};
    sem_init(&watched->turned, 0, 0);
    sem_init(&watched->ready, 0, 0);
    CU_ASSERT_EQUAL_FATAL(loop_create(&(struct loop_opts){.name = "a-name-that-is-too-long",
                                                          .arg = watched,
                                                          .on_events = on_events,
                                                          .on_turn_end = on_turn_end,
                                                          .gather_ms = gather_ms,
                                                          .should_rest = should_rest},
                                      &watched->loop),
                          ERR_OK);
}

void watched_start(struct watched *watched)
{
    watched_create(watched, 0);
    CU_ASSERT_EQUAL_FATAL(loop_start(watched->loop), ERR_OK);
}

void watched_stop(struct watched *watched)
{
    loop_stop(watched->loop);
    loop_destroy(watched->loop);
    sem_destroy(&watched->turned);
    sem_destroy(&watched->ready);
}

/* --- tasks --- */

static void run_step(struct loop_task *task, struct loop *loop)
{
    struct step *step = (struct step *)task;
    CU_ASSERT_PTR_EQUAL(loop, step->watched->loop);
    CU_ASSERT_TRUE(loop_is_current(loop));
    if (step->letter != '\0')
        note(step->watched, step->letter);
    if (step->run != NULL)
        step->run(step);
    sem_post(&step->done);
}

struct step *step_make(struct watched *watched, char letter, void (*run)(struct step *))
{
    struct step *step = mem_zalloc(sizeof *step);
    step->task.run = run_step;
    step->watched = watched;
    step->run = run;
    step->letter = letter;
    sem_init(&step->done, 0, 0);
    return step;
}

void step_post(struct step *step)
{
    loop_post(step->watched->loop, &step->task);
}

void step_finish(struct step *step)
{
    watched_wait(&step->done);
    sem_destroy(&step->done);
    mem_free(step);
}

void watched_run(struct watched *watched, void (*run)(struct step *))
{
    struct step *step = step_make(watched, '\0', run);
    step_post(step);
    step_finish(step);
}

/* --- a loop that stands still while others post --- */

struct gate {
    struct step *step;
    sem_t reached, open;
};

static struct gate gate; /* one at a time */

static void stand_still(struct step *step)
{
    (void)step;
    sem_post(&gate.reached);
    watched_wait(&gate.open);
}

void watched_hold(struct watched *watched)
{
    sem_init(&gate.reached, 0, 0);
    sem_init(&gate.open, 0, 0);
    gate.step = step_make(watched, '|', stand_still);
    step_post(gate.step);
    watched_wait(&gate.reached);
}

void watched_open(void)
{
    sem_post(&gate.open);
}

void watched_let_go(void)
{
    watched_open();
    watched_forget();
}

void watched_forget(void)
{
    step_finish(gate.step);
    sem_destroy(&gate.reached);
    sem_destroy(&gate.open);
}
