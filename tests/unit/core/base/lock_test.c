#include "core/base/lock.h"

#include <CUnit/CUnit.h>

enum { THREADS = 4, ROUNDS = 20000 };

struct counter {
    struct lock lock;
    long count GUARDED_BY(lock);
};

static void *count_up(void *arg)
{
    struct counter *counter = arg;
    for (int i = 0; i < ROUNDS; i++) {
        lock_acquire(&counter->lock);
        counter->count++;
        lock_release(&counter->lock);
    }
    return NULL;
}

static void lets_one_thread_in_at_a_time(void)
{
    struct counter counter = {.count = 0};
    pthread_t threads[THREADS];
    lock_init(&counter.lock);
    for (size_t i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, count_up, &counter), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(counter.count, (long)THREADS * ROUNDS);
    lock_fini(&counter.lock);
}

CU_TestInfo lock_tests[] = {
    {"lets_one_thread_in_at_a_time", lets_one_thread_in_at_a_time},
    CU_TEST_INFO_NULL,
};
