#include "core/net/loop.h"

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

enum { WAIT_S = 20, EVENTS_MAX = 4096 };

/* A loop, and a record of what it called, in order: a letter an event. */
struct fixture {
    struct loop *loop;
    atomic_int turns;
    atomic_int timeout_ms; /* what the end of a turn asks for */
    atomic_bool rests;
    sem_t turned; /* posted at the end of each turn */
    sem_t ready;  /* posted for each event of a source */
    char record[EVENTS_MAX];
    size_t recorded; /* the loop's thread; others once it stands still */
    void (*on_source)(struct fixture *fixture, struct loop_source *source, uint32_t events);
};

static void wait_for(sem_t *semaphore)
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

static void note(struct fixture *fixture, char event)
{
    if (fixture->recorded < EVENTS_MAX - 1)
        fixture->record[fixture->recorded++] = event;
}

static void on_events(void *arg, struct loop_source *source, uint32_t events)
{
    struct fixture *fixture = arg;
    note(fixture, 'e');
    if (fixture->on_source != NULL)
        fixture->on_source(fixture, source, events);
    sem_post(&fixture->ready);
}

static int on_turn_end(void *arg)
{
    struct fixture *fixture = arg;
    note(fixture, '.');
    atomic_fetch_add(&fixture->turns, 1);
    sem_post(&fixture->turned);
    return atomic_load(&fixture->timeout_ms);
}

static bool should_rest(void *arg)
{
    struct fixture *fixture = arg;
    return atomic_load(&fixture->rests);
}

static void create(struct fixture *fixture)
{
    *fixture = (struct fixture){.timeout_ms = -1};
    sem_init(&fixture->turned, 0, 0);
    sem_init(&fixture->ready, 0, 0);
    CU_ASSERT_EQUAL_FATAL(loop_create(&(struct loop_opts){.name = "a-name-that-is-too-long",
                                                          .arg = fixture,
                                                          .on_events = on_events,
                                                          .on_turn_end = on_turn_end,
                                                          .should_rest = should_rest},
                                      &fixture->loop),
                          ERR_OK);
}

static void start(struct fixture *fixture)
{
    create(fixture);
    CU_ASSERT_EQUAL_FATAL(loop_start(fixture->loop), ERR_OK);
}

static void stop(struct fixture *fixture)
{
    loop_stop(fixture->loop);
    loop_destroy(fixture->loop);
    sem_destroy(&fixture->turned);
    sem_destroy(&fixture->ready);
}

/* --- tasks --- */

struct step {
    struct loop_task task;
    struct fixture *fixture;
    void (*run)(struct step *step);
    sem_t done;
    char letter;
    struct step *then;
};

static void run_step(struct loop_task *task, struct loop *loop)
{
    struct step *step = (struct step *)task;
    CU_ASSERT_PTR_EQUAL(loop, step->fixture->loop);
    CU_ASSERT_TRUE(loop_is_current(loop));
    if (step->letter != '\0')
        note(step->fixture, step->letter);
    if (step->run != NULL)
        step->run(step);
    sem_post(&step->done);
}

static struct step *make_step(struct fixture *fixture, char letter, void (*run)(struct step *))
{
    struct step *step = mem_zalloc(sizeof *step);
    step->task.run = run_step;
    step->fixture = fixture;
    step->run = run;
    step->letter = letter;
    sem_init(&step->done, 0, 0);
    return step;
}

static void post(struct step *step)
{
    loop_post(step->fixture->loop, &step->task);
}

static void finish(struct step *step)
{
    wait_for(&step->done);
    sem_destroy(&step->done);
    mem_free(step);
}

static void run_on_loop(struct fixture *fixture, void (*run)(struct step *))
{
    struct step *step = make_step(fixture, '\0', run);
    post(step);
    finish(step);
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
    wait_for(&gate.open);
}

static void hold(struct fixture *fixture)
{
    sem_init(&gate.reached, 0, 0);
    sem_init(&gate.open, 0, 0);
    gate.step = make_step(fixture, '|', stand_still);
    post(gate.step);
    wait_for(&gate.reached);
}

static void let_go(void)
{
    sem_post(&gate.open);
    finish(gate.step);
    sem_destroy(&gate.reached);
    sem_destroy(&gate.open);
}

/* --- the mailbox --- */

static void a_task_runs_on_the_loops_thread(void)
{
    struct fixture fixture;
    start(&fixture);
    CU_ASSERT_FALSE(loop_is_current(fixture.loop));
    run_on_loop(&fixture, NULL); /* run_step looks where it is */
    stop(&fixture);
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
    struct fixture fixture;
    start(&fixture);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.loop = fixture.loop, .in_order = true};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    run_on_loop(&fixture, NULL);
    for (int i = 0; i < POSTERS; i++) {
        CU_ASSERT_EQUAL(posters[i].next, EACH);
        CU_ASSERT_TRUE(posters[i].in_order);
    }
    CU_ASSERT_EQUAL(loop_pending(fixture.loop), 0);
    stop(&fixture);
}

static void what_waits_is_run_in_one_turn(void)
{
    struct fixture fixture;
    struct step *steps[26];
    start(&fixture);
    hold(&fixture);
    for (int i = 0; i < 26; i++) {
        CU_ASSERT_EQUAL(loop_pending(fixture.loop), (size_t)i);
        post(steps[i] = make_step(&fixture, (char)('a' + i), NULL));
    }
    let_go();
    for (int i = 0; i < 26; i++)
        finish(steps[i]);
    run_on_loop(&fixture, NULL);
    stop(&fixture);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.record, "|.abcdefghijklmnopqrstuvwxyz."));
}

static void post_next(struct step *step)
{
    post(step->then);
}

/* It may wait for the next turn, but it runs, and nobody has to wake the loop for it. */
static void a_task_posted_by_the_loop_itself_runs(void)
{
    enum { DEEP = 100 };
    struct fixture fixture;
    struct step *steps[DEEP];
    start(&fixture);
    for (int i = DEEP; i-- > 0;) {
        steps[i] = make_step(&fixture, '+', i + 1 < DEEP ? post_next : NULL);
        steps[i]->then = i + 1 < DEEP ? steps[i + 1] : NULL;
    }
    post(steps[0]);
    for (int i = 0; i < DEEP; i++)
        finish(steps[i]);
    stop(&fixture);
}

/* --- waking --- */

static bool is_eventfd(int fd)
{
    char path[64], target[64] = "";
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return readlink(path, target, sizeof target - 1) > 0 && strstr(target, "[eventfd]") != NULL;
}

/* The greatest number of an eventfd: that of the loop made last. */
static int find_eventfd(void)
{
    int found = -1;
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (fd > found && is_eventfd(fd))
            found = fd;
    }
    if (dir != NULL)
        closedir(dir);
    return found;
}

/* How often the loop was woken and has not noticed yet; -1 where the kernel does not tell. */
static long wakes_of(int fd)
{
    static const char name[] = "eventfd-count:";
    char path[64], text[512] = "";
    (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    (void)fclose(file);
    const char *at = strstr(text, name);
    return at != NULL ? strtol(at + sizeof name - 1, NULL, 16) : -1;
}

static void a_busy_loop_is_not_woken(void)
{
    struct fixture fixture;
    struct step *steps[10];
    start(&fixture);
    int fd = find_eventfd();
    hold(&fixture);
    for (int i = 0; i < 10; i++)
        post(steps[i] = make_step(&fixture, '\0', NULL));
    CU_ASSERT_TRUE(wakes_of(fd) <= 0);
    let_go();
    for (int i = 0; i < 10; i++)
        finish(steps[i]);
    stop(&fixture);
}

/* With no timeout but its own wake-up, again and again. */
static void a_sleeping_loop_is_woken_each_time(void)
{
    struct fixture fixture;
    start(&fixture);
    for (int i = 0; i < 1000; i++)
        run_on_loop(&fixture, NULL);
    stop(&fixture);
}

static void a_loop_that_was_told_a_time_wakes_by_itself(void)
{
    struct fixture fixture;
    start(&fixture);
    atomic_store(&fixture.timeout_ms, 1);
    run_on_loop(&fixture, NULL);
    while (sem_trywait(&fixture.turned) == 0)
        ;
    for (int i = 0; i < 5; i++)
        wait_for(&fixture.turned);
    stop(&fixture);
}

static uint64_t seen_ms;

static void look_at_the_clock(struct step *step)
{
    seen_ms = loop_now_ms(step->fixture->loop);
}

static void the_time_is_that_of_the_turn(void)
{
    struct fixture fixture;
    start(&fixture);
    uint64_t before_ms = clock_monotonic_ms();
    run_on_loop(&fixture, NULL); /* of a turn that began before, maybe */
    run_on_loop(&fixture, look_at_the_clock);
    CU_ASSERT_TRUE(seen_ms <= clock_monotonic_ms());
    CU_ASSERT_TRUE(seen_ms >= before_ms);
    stop(&fixture);
}

/* --- sources --- */

static struct loop_source source;

static void take_octet(struct fixture *fixture, struct loop_source *ready, uint32_t events)
{
    char octet;
    (void)fixture;
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
    CU_ASSERT_EQUAL(loop_add(step->fixture->loop, &source, EPOLLIN), ERR_OK);
    CU_ASSERT_EQUAL(source.interest, EPOLLIN);
}

static void remove_source(struct step *step)
{
    loop_remove(step->fixture->loop, &source);
    CU_ASSERT_EQUAL(source.interest, 0);
}

static void want_nothing(struct step *step)
{
    loop_set_interest(step->fixture->loop, &source, 0);
}

static void want_reading(struct step *step)
{
    loop_set_interest(step->fixture->loop, &source, EPOLLIN);
    loop_set_interest(step->fixture->loop, &source, EPOLLIN);
}

static void write_octet(int fd)
{
    CU_ASSERT_EQUAL(send(fd, "x", 1, 0), 1);
}

static void events_come_before_tasks_and_the_end_of_the_turn(void)
{
    struct fixture fixture;
    int other;
    make_source(&other);
    start(&fixture);
    fixture.on_source = take_octet;
    run_on_loop(&fixture, add_source);
    hold(&fixture);
    struct step *step = make_step(&fixture, 't', NULL);
    post(step);
    write_octet(other);
    let_go();
    finish(step);
    run_on_loop(&fixture, remove_source);
    stop(&fixture);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.record, "|.et."));
    close(source.fd);
    close(other);
}

static void a_source_is_heard_as_its_interest_says(void)
{
    struct fixture fixture;
    int other;
    make_source(&other);
    start(&fixture);
    fixture.on_source = take_octet;
    run_on_loop(&fixture, add_source);
    write_octet(other);
    wait_for(&fixture.ready);
    run_on_loop(&fixture, want_nothing);
    write_octet(other);
    for (int i = 0; i < 3; i++)
        run_on_loop(&fixture, NULL);
    CU_ASSERT_EQUAL(sem_trywait(&fixture.ready), -1);
    run_on_loop(&fixture, want_reading);
    wait_for(&fixture.ready);
    run_on_loop(&fixture, remove_source);
    write_octet(other);
    for (int i = 0; i < 3; i++)
        run_on_loop(&fixture, NULL);
    CU_ASSERT_EQUAL(sem_trywait(&fixture.ready), -1);
    stop(&fixture);
    close(source.fd);
    close(other);
}

/* The mailbox goes on while sources rest. */
static void sources_rest_when_told(void)
{
    struct fixture fixture;
    int other;
    make_source(&other);
    start(&fixture);
    fixture.on_source = take_octet;
    run_on_loop(&fixture, add_source);
    atomic_store(&fixture.rests, true);
    run_on_loop(&fixture, NULL); /* the loop is past its last sleep with the old answer */
    run_on_loop(&fixture, NULL);
    write_octet(other);
    for (int i = 0; i < 5; i++)
        run_on_loop(&fixture, NULL);
    CU_ASSERT_EQUAL(sem_trywait(&fixture.ready), -1);
    atomic_store(&fixture.rests, false);
    wait_for(&fixture.ready);
    run_on_loop(&fixture, remove_source);
    stop(&fixture);
    close(source.fd);
    close(other);
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void)
{
    struct fixture fixture;
    struct loop_source none = {.fd = -1};
    create(&fixture);
    CU_ASSERT_EQUAL(loop_add(fixture.loop, &none, EPOLLIN), ERR_SYSTEM);
    CU_ASSERT_EQUAL(errno, EBADF);
    CU_ASSERT_EQUAL(none.interest, 0);
    stop(&fixture);
}

/* --- life --- */

static void the_last_tasks_run_before_the_end(void)
{
    struct fixture fixture;
    struct step *steps[100];
    start(&fixture);
    hold(&fixture);
    for (int i = 0; i < 100; i++)
        post(steps[i] = make_step(&fixture, '\0', NULL));
    sem_post(&gate.open);
    loop_stop(fixture.loop);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(sem_trywait(&steps[i]->done), 0);
    for (int i = 0; i < 100; i++) {
        sem_post(&steps[i]->done);
        finish(steps[i]);
    }
    finish(gate.step);
    sem_destroy(&gate.reached);
    sem_destroy(&gate.open);
    CU_ASSERT_EQUAL(fixture.record[fixture.recorded - 1], '.');
    stop(&fixture);
}

static void stopping_twice_or_without_a_start_is_harmless(void)
{
    struct fixture fixture;
    create(&fixture);
    loop_stop(fixture.loop);
    CU_ASSERT_EQUAL(loop_start(fixture.loop), ERR_OK);
    loop_stop(fixture.loop);
    loop_stop(fixture.loop);
    stop(&fixture);
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
        enum err err = loop_create(
            &(struct loop_opts){.name = "x", .on_events = on_events, .on_turn_end = on_turn_end},
            &loop);
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
    {"a_busy_loop_is_not_woken", a_busy_loop_is_not_woken},
    {"a_sleeping_loop_is_woken_each_time", a_sleeping_loop_is_woken_each_time},
    {"a_loop_that_was_told_a_time_wakes_by_itself", a_loop_that_was_told_a_time_wakes_by_itself},
    {"the_time_is_that_of_the_turn", the_time_is_that_of_the_turn},
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
