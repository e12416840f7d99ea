#include "core/base/mem.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/capture.h"

static void fresh_memory_is_zero(void)
{
    unsigned char *bytes = mem_zalloc(1000);
    for (size_t i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(bytes[i], 0);
    mem_free(bytes);
}

static void nothing_is_never_null(void)
{
    void *none[] = {mem_zalloc(0), mem_try_alloc(0), mem_try_resize(NULL, 0, 8),
                    mem_resize(NULL, 8, 0)};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        CU_ASSERT_PTR_NOT_NULL(none[i]);
        mem_free(none[i]);
    }
    mem_free(NULL);
}

static void resizing_keeps_contents(void)
{
    char *text = mem_strdup("abc");
    text = mem_resize(text, 1000, 10);
    CU_ASSERT_STRING_EQUAL(text, "abc");
    char *grown = mem_try_resize(text, 2000, 10);
    CU_ASSERT_PTR_NOT_NULL_FATAL(grown);
    CU_ASSERT_STRING_EQUAL(grown, "abc");
    mem_free(grown);
}

static void sizes_that_overflow_are_refused_and_harm_nothing(void)
{
    char *text = mem_strdup("abc");
    CU_ASSERT_PTR_NULL(mem_try_resize(text, SIZE_MAX, 2));
    CU_ASSERT_PTR_NULL(mem_try_resize(text, SIZE_MAX / 8 + 1, 8));
    CU_ASSERT_PTR_NULL(mem_try_resize(NULL, 2, SIZE_MAX));
    CU_ASSERT_STRING_EQUAL(text, "abc");
    mem_free(text);
}

static void the_nth_try_fails_and_only_that_one(void)
{
    for (unsigned nth = 1; nth <= 4; nth++) {
        mem_fail_after(nth);
        for (unsigned call = 1; call <= 5; call++) {
            void *ptr = call % 2 == 0 ? mem_try_alloc(1) : mem_try_resize(NULL, 1, 1);
            CU_ASSERT_EQUAL(ptr == NULL, call == nth);
            mem_free(ptr);
        }
        CU_ASSERT_EQUAL(mem_fail_after(0), 5);
    }
    void *ptr = mem_try_alloc(1);
    CU_ASSERT_PTR_NOT_NULL(ptr);
    mem_free(ptr);
}

static void *try_once(void *result)
{
    void *ptr = mem_try_alloc(1);
    *(int *)result = ptr != NULL;
    mem_free(ptr);
    return NULL;
}

static void another_thread_is_not_starved(void)
{
    pthread_t thread;
    int was_served = 0;
    mem_fail_after(1);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, try_once, &was_served), 0);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(was_served, 1);
    CU_ASSERT_PTR_NULL(mem_try_alloc(1));
    mem_fail_after(0);
}

/* In a process of its own, which ends by it. */
static int status_of_a_process_that_wants_too_much(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0};
        setrlimit(RLIMIT_CORE, &no_core);
        mem_free(mem_resize(NULL, SIZE_MAX, 2));
        _exit(0);
    }
    CU_ASSERT_TRUE_FATAL(child > 0);
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    return status;
}

static void the_process_ends_with_a_line_when_our_own_need_is_not_met(void)
{
    struct capture capture;
    capture_begin(&capture);
    int status = status_of_a_process_that_wants_too_much();
    capture_end(&capture);
    CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, "\"event\":\"process:out_of_memory\""));
    capture_fini(&capture);
}

CU_TestInfo mem_tests[] = {
    {"fresh_memory_is_zero", fresh_memory_is_zero},
    {"nothing_is_never_null", nothing_is_never_null},
    {"resizing_keeps_contents", resizing_keeps_contents},
    {"sizes_that_overflow_are_refused_and_harm_nothing",
     sizes_that_overflow_are_refused_and_harm_nothing},
    {"the_nth_try_fails_and_only_that_one", the_nth_try_fails_and_only_that_one},
    {"another_thread_is_not_starved", another_thread_is_not_starved},
    {"the_process_ends_with_a_line_when_our_own_need_is_not_met",
     the_process_ends_with_a_line_when_our_own_need_is_not_met},
    CU_TEST_INFO_NULL,
};
