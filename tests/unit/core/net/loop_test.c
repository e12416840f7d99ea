#include "core/net/loop.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/unit/core/net/watched.h"

/* --- the mailbox --- */

static void a_task_runs_on_the_loops_thread(void)
{
    struct watched watched;
    watched_start(&watched);
    CU_ASSERT_FALSE(loop_is_current(watched.loop));
    watched_run(&watched, NULL); /* run_step looks where it is */
    watched_stop(&watched);
}

enum { POSTERS = 4, EACH = 1000 };

struct numbered {
    struct loop_task task;
    struct poster *poster;
    int number;
};

struct poster {
    struct loop *loop;
    struct numbered tasks[EACH];
    int next; /* the loop's thread */
    bool in_order;
};

static void run_numbered(struct loop_task *task, struct loop *loop)
{
    struct numbered *numbered = (struct numbered *)task;
    (void)loop;
    if (numbered->number != numbered->poster->next++)
        numbered->poster->in_order = false;
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < EACH; i++) {
        poster->tasks[i] =
            (struct numbered){.task.run = run_numbered, .poster = poster, .number = i};
        loop_post(poster->loop, &poster->tasks[i].task);
    }
    return NULL;
}

static void each_posters_tasks_run_in_order(void)
{
    static struct poster posters[POSTERS];
    pthread_t threads[POSTERS];
    struct watched watched;
    watched_start(&watched);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.loop = watched.loop, .in_order = true};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    watched_run(&watched, NULL);
    for (int i = 0; i < POSTERS; i++) {
        CU_ASSERT_EQUAL(posters[i].next, EACH);
        CU_ASSERT_TRUE(posters[i].in_order);
    }
    CU_ASSERT_EQUAL(loop_pending(watched.loop), 0);
    watched_stop(&watched);
}

static void what_waits_is_run_in_one_turn(void)
{
    struct watched watched;
    struct step *steps[26];
    watched_start(&watched);
    watched_hold(&watched);
    for (int i = 0; i < 26; i++) {
        CU_ASSERT_EQUAL(loop_pending(watched.loop), (size_t)i);
        step_post(steps[i] = step_make(&watched, (char)('a' + i), NULL));
    }
    watched_let_go();
    for (int i = 0; i < 26; i++)
        step_finish(steps[i]);
    watched_run(&watched, NULL);
    watched_stop(&watched);
    CU_ASSERT_PTR_NOT_NULL(strstr(watched.record, "|.abcdefghijklmnopqrstuvwxyz."));
}

static void post_next(struct step *step)
{
    step_post(step->then);
}

/* It may wait for the next turn, but it runs, and nobody has to wake the loop for it. */
static void a_task_posted_by_the_loop_itself_runs(void)
{
    enum { DEEP = 100 };
    struct watched watched;
    struct step *steps[DEEP];
    watched_start(&watched);
    for (int i = DEEP; i-- > 0;) {
        steps[i] = step_make(&watched, '+', i + 1 < DEEP ? post_next : NULL);
        steps[i]->then = i + 1 < DEEP ? steps[i + 1] : NULL;
    }
    step_post(steps[0]);
    for (int i = 0; i < DEEP; i++)
        step_finish(steps[i]);
    watched_stop(&watched);
}

/* --- sources --- */

static struct loop_source source;

static void take_octet(struct watched *watched, struct loop_source *ready, uint32_t events)
{
    char octet;
    (void)watched;
    CU_ASSERT_PTR_EQUAL(ready, &source);
    if ((events & EPOLLIN) != 0)
        CU_ASSERT_EQUAL(recv(ready->fd, &octet, 1, 0), 1);
}

static void make_source(int *other)
{
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    source = (struct loop_source){.fd = fds[0]};
    *other = fds[1];
}

static void add_source(struct step *step)
{
    CU_ASSERT_EQUAL(loop_add(step->watched->loop, &source, EPOLLIN), ERR_OK);
    CU_ASSERT_EQUAL(source.interest, EPOLLIN);
}

static void remove_source(struct step *step)
{
    loop_remove(step->watched->loop, &source);
    CU_ASSERT_EQUAL(source.interest, 0);
}

static void want_nothing(struct step *step)
{
    loop_set_interest(step->watched->loop, &source, 0);
}

static void want_reading(struct step *step)
{
    loop_set_interest(step->watched->loop, &source, EPOLLIN);
    loop_set_interest(step->watched->loop, &source, EPOLLIN);
}

static void write_octet(int fd)
{
    CU_ASSERT_EQUAL(send(fd, "x", 1, 0), 1);
}

static void events_come_before_tasks_and_the_end_of_the_turn(void)
{
    struct watched watched;
    int other;
    make_source(&other);
    watched_start(&watched);
    watched.on_source = take_octet;
    watched_run(&watched, add_source);
    watched_hold(&watched);
    struct step *step = step_make(&watched, 't', NULL);
    step_post(step);
    write_octet(other);
    watched_let_go();
    step_finish(step);
    watched_run(&watched, remove_source);
    watched_stop(&watched);
    CU_ASSERT_PTR_NOT_NULL(strstr(watched.record, "|.et."));
    close(source.fd);
    close(other);
}

static void a_source_is_heard_as_its_interest_says(void)
{
    struct watched watched;
    int other;
    make_source(&other);
    watched_start(&watched);
    watched.on_source = take_octet;
    watched_run(&watched, add_source);
    write_octet(other);
    watched_wait(&watched.ready);
    watched_run(&watched, want_nothing);
    write_octet(other);
    for (int i = 0; i < 3; i++)
        watched_run(&watched, NULL);
    CU_ASSERT_EQUAL(sem_trywait(&watched.ready), -1);
    watched_run(&watched, want_reading);
    watched_wait(&watched.ready);
    watched_run(&watched, remove_source);
    write_octet(other);
    for (int i = 0; i < 3; i++)
        watched_run(&watched, NULL);
    CU_ASSERT_EQUAL(sem_trywait(&watched.ready), -1);
    watched_stop(&watched);
    close(source.fd);
    close(other);
}

/* The mailbox goes on while sources rest. */
static void sources_rest_when_told(void)
{
    struct watched watched;
    int other;
    make_source(&other);
    watched_start(&watched);
    watched.on_source = take_octet;
    watched_run(&watched, add_source);
    atomic_store(&watched.rests, true);
    watched_run(&watched, NULL); /* the loop is past its last sleep with the old answer */
    watched_run(&watched, NULL);
    write_octet(other);
    for (int i = 0; i < 5; i++)
        watched_run(&watched, NULL);
    CU_ASSERT_EQUAL(sem_trywait(&watched.ready), -1);
    atomic_store(&watched.rests, false);
    watched_wait(&watched.ready);
    watched_run(&watched, remove_source);
    watched_stop(&watched);
    close(source.fd);
    close(other);
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void)
{
    struct watched watched;
    struct loop_source none = {.fd = -1};
    watched_create(&watched, 0);
    CU_ASSERT_EQUAL(loop_add(watched.loop, &none, EPOLLIN), ERR_SYSTEM);
    CU_ASSERT_EQUAL(errno, EBADF);
    CU_ASSERT_EQUAL(none.interest, 0);
    watched_stop(&watched);
}

/* --- life --- */

static void the_last_tasks_run_before_the_end(void)
{
    struct watched watched;
    struct step *steps[100];
    watched_start(&watched);
    watched_hold(&watched);
    for (int i = 0; i < 100; i++)
        step_post(steps[i] = step_make(&watched, '\0', NULL));
    watched_open();
    loop_stop(watched.loop);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(sem_trywait(&steps[i]->done), 0);
    for (int i = 0; i < 100; i++) {
        sem_post(&steps[i]->done);
        step_finish(steps[i]);
    }
    watched_forget();
    CU_ASSERT_EQUAL(watched.record[watched.recorded - 1], '.');
    watched_stop(&watched);
}

static void stopping_twice_or_without_a_start_is_harmless(void)
{
    struct watched watched;
    watched_create(&watched, 0);
    loop_stop(watched.loop);
    CU_ASSERT_EQUAL(loop_start(watched.loop), ERR_OK);
    loop_stop(watched.loop);
    loop_stop(watched.loop);
    watched_stop(&watched);
    loop_destroy(NULL);
}

/* Neither the event's descriptor nor epoll's. */
static void without_descriptors_there_is_no_loop(void)
{
    struct rlimit before, none;
    struct loop *loop = (struct loop *)1;
    int probe = dup(0);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
    CU_ASSERT_TRUE_FATAL(probe != -1);
    close(probe);
    for (int free_numbers = 0; free_numbers <= 1; free_numbers++) {
        none = (struct rlimit){.rlim_cur = (rlim_t)(probe + free_numbers),
                               .rlim_max = before.rlim_max};
        CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &none), 0);
        enum err err = loop_create(&(struct loop_opts){.name = "x"}, &loop);
        CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
        CU_ASSERT_EQUAL(err, ERR_SYSTEM);
        CU_ASSERT_PTR_NULL(loop);
    }
    CU_ASSERT_EQUAL(dup(0), probe); /* nothing stayed open */
    close(probe);
}

CU_TestInfo loop_tests[] = {
    {"a_task_runs_on_the_loops_thread", a_task_runs_on_the_loops_thread},
    {"each_posters_tasks_run_in_order", each_posters_tasks_run_in_order},
    {"what_waits_is_run_in_one_turn", what_waits_is_run_in_one_turn},
    {"a_task_posted_by_the_loop_itself_runs", a_task_posted_by_the_loop_itself_runs},
    {"events_come_before_tasks_and_the_end_of_the_turn",
     events_come_before_tasks_and_the_end_of_the_turn},
    {"a_source_is_heard_as_its_interest_says", a_source_is_heard_as_its_interest_says},
    {"sources_rest_when_told", sources_rest_when_told},
    {"a_descriptor_that_cannot_be_watched_is_an_error",
     a_descriptor_that_cannot_be_watched_is_an_error},
    {"the_last_tasks_run_before_the_end", the_last_tasks_run_before_the_end},
    {"stopping_twice_or_without_a_start_is_harmless",
     stopping_twice_or_without_a_start_is_harmless},
    {"without_descriptors_there_is_no_loop", without_descriptors_there_is_no_loop},
    CU_TEST_INFO_NULL,
};
