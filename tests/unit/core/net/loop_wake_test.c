#include <CUnit/CUnit.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/net/loop.h"
#include "tests/unit/core/net/watched.h"

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

/* How often the loop was woken; -1 where the kernel does not tell. */
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
    struct watched watched;
    struct step *steps[10];
    watched_start(&watched);
    int fd = find_eventfd();
    watched_hold(&watched);
    long wakes = wakes_of(fd);
    for (int i = 0; i < 10; i++)
        step_post(steps[i] = step_make(&watched, '\0', NULL));
    CU_ASSERT_EQUAL(wakes_of(fd), wakes);
    watched_let_go();
    for (int i = 0; i < 10; i++)
        step_finish(steps[i]);
    watched_stop(&watched);
}

/* With no timeout but its own wake-up, again and again. */
static void a_sleeping_loop_is_woken_each_time(void)
{
    struct watched watched;
    watched_start(&watched);
    for (int i = 0; i < 1000; i++)
        watched_run(&watched, NULL);
    watched_stop(&watched);
}

static void a_loop_that_was_told_a_time_wakes_by_itself(void)
{
    struct watched watched;
    watched_start(&watched);
    atomic_store(&watched.timeout_ms, 1);
    watched_run(&watched, NULL);
    while (sem_trywait(&watched.turned) == 0)
        ;
    for (int i = 0; i < 5; i++)
        watched_wait(&watched.turned);
    watched_stop(&watched);
}

static uint64_t seen_ms;

static void look_at_the_clock(struct step *step)
{
    seen_ms = loop_now_ms(step->watched->loop);
}

static void the_time_is_that_of_the_turn(void)
{
    struct watched watched;
    watched_start(&watched);
    uint64_t before_ms = clock_monotonic_ms();
    watched_run(&watched, NULL); /* of a turn that began before, maybe */
    watched_run(&watched, look_at_the_clock);
    CU_ASSERT_TRUE(seen_ms <= clock_monotonic_ms());
    CU_ASSERT_TRUE(seen_ms >= before_ms);
    watched_stop(&watched);
}

/* --- lazily --- */

static void post_lazily(struct step *step)
{
    loop_post_lazily(step->watched->loop, &step->task);
}

static void a_lazy_task_wakes_nobody_and_keeps_its_place(void)
{
    struct watched watched;
    watched_start(&watched);
    int fd = find_eventfd();
    for (int i = 0; i < 200; i++) {
        struct step *lazy = step_make(&watched, 'a', NULL), *next = step_make(&watched, 'b', NULL);
        long wakes = wakes_of(fd);
        post_lazily(lazy);
        CU_ASSERT_EQUAL(wakes_of(fd), wakes);
        step_post(next);
        step_finish(lazy);
        step_finish(next);
    }
    watched_stop(&watched);
    CU_ASSERT_PTR_NULL(strchr(watched.record, 'e'));
    /* Whichever turns they were in, every b stands behind its own a. */
    long balance = 0;
    for (const char *at = watched.record; *at != '\0'; at++) {
        balance += (*at == 'a') - (*at == 'b');
        CU_ASSERT_TRUE(balance == 0 || balance == 1);
    }
}

static void a_lazy_task_for_a_busy_loop_needs_nothing_more(void)
{
    struct watched watched;
    watched_start(&watched);
    watched_hold(&watched);
    struct step *lazy = step_make(&watched, 'a', NULL);
    post_lazily(lazy);
    watched_let_go();
    step_finish(lazy);
    watched_stop(&watched);
}

/* --- gathering --- */

static void turns_with_tasks_keep_their_distance(void)
{
    enum { GATHER_MS = 5, TURNS = 20 };
    struct watched watched;
    watched_create(&watched, GATHER_MS);
    CU_ASSERT_EQUAL_FATAL(loop_start(watched.loop), ERR_OK);
    uint64_t before_ms = 0;
    for (int i = 0; i < TURNS; i++) {
        watched_run(&watched, look_at_the_clock);
        CU_ASSERT_TRUE(seen_ms >= before_ms + GATHER_MS);
        before_ms = seen_ms;
    }
    watched_stop(&watched);
}

CU_TestInfo loop_wake_tests[] = {
    {"a_busy_loop_is_not_woken", a_busy_loop_is_not_woken},
    {"a_sleeping_loop_is_woken_each_time", a_sleeping_loop_is_woken_each_time},
    {"a_loop_that_was_told_a_time_wakes_by_itself", a_loop_that_was_told_a_time_wakes_by_itself},
    {"the_time_is_that_of_the_turn", the_time_is_that_of_the_turn},
    {"a_lazy_task_wakes_nobody_and_keeps_its_place", a_lazy_task_wakes_nobody_and_keeps_its_place},
    {"a_lazy_task_for_a_busy_loop_needs_nothing_more",
     a_lazy_task_for_a_busy_loop_needs_nothing_more},
    {"turns_with_tasks_keep_their_distance", turns_with_tasks_keep_their_distance},
    CU_TEST_INFO_NULL,
};
