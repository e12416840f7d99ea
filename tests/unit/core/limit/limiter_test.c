#include "core/limit/limiter.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdio.h>

#include "core/base/mem.h"

static const uint64_t second_ns = 1000000000;
static const struct limit ten_a_minute = {.count = 10, .period_ms = 60000};

static bool take(struct limiter *limiter, const char *key, uint64_t now_ns)
{
    struct limiter_answer answer;
    bool taken = limiter_take(limiter, slice_str(key), now_ns, &answer);
    CU_ASSERT_EQUAL(taken, answer.retry_after_ms == 0);
    CU_ASSERT_FALSE(answer.is_much); /* nobody shares it */
    return taken;
}

static unsigned take_many(struct limiter *limiter, const char *key, unsigned tries, uint64_t now_ns)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < tries; i++)
        taken += take(limiter, key, now_ns);
    return taken;
}

static void each_name_has_a_bucket_of_its_own(void)
{
    struct limiter *limiter = limiter_create(&ten_a_minute, 1000);
    CU_ASSERT_EQUAL(take_many(limiter, "anna", 20, second_ns), 10);
    CU_ASSERT_EQUAL(take_many(limiter, "ben", 20, second_ns), 10);
    CU_ASSERT_EQUAL(take_many(limiter, "anna", 20, second_ns), 0);
    CU_ASSERT_EQUAL(take_many(limiter, "", 20, second_ns), 10);
    CU_ASSERT_EQUAL(take_many(limiter, "anna", 20, 7 * second_ns), 1);
    CU_ASSERT_EQUAL(limiter_count(limiter), 3);
    CU_ASSERT_EQUAL(limiter_limit(limiter)->count, 10);
    limiter_destroy(limiter);
    limiter_destroy(NULL);
}

static void off_keeps_no_buckets(void)
{
    struct limiter *limiter = limiter_create(&(struct limit){0}, 1000);
    CU_ASSERT_EQUAL(take_many(limiter, "anna", 1000, second_ns), 1000);
    CU_ASSERT_EQUAL(limiter_count(limiter), 0);
    limiter_destroy(limiter);
}

static void take_each(struct limiter *limiter, unsigned names, uint64_t now_ns)
{
    char name[16];
    for (unsigned i = 0; i < names; i++) {
        snprintf(name, sizeof name, "%u", i);
        take(limiter, name, now_ns);
    }
}

static void there_are_never_more_than_the_bound(void)
{
    enum { MOST = 64 * LIMITER_SHARDS };
    struct limiter *limiter = limiter_create(&ten_a_minute, MOST);
    take_each(limiter, 20000, second_ns);
    CU_ASSERT_EQUAL(limiter_count(limiter), MOST);
    limiter_destroy(limiter);
}

static void full_buckets_are_forgotten_as_others_come(void)
{
    struct limiter *limiter = limiter_create(&ten_a_minute, 1000000);
    char name[16];
    take_each(limiter, 10000, second_ns);
    CU_ASSERT_EQUAL(limiter_count(limiter), 10000);
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "new %u", i);
        take(limiter, name, 10 * second_ns);
    }
    CU_ASSERT_EQUAL(limiter_count(limiter), 10000);
    limiter_destroy(limiter);
}

/* The bound pushes the longest untouched out, not those who are being held back. */
static void who_is_held_back_stays_while_others_are_older(void)
{
    enum { MOST = 8 * LIMITER_SHARDS };
    struct limiter *limiter = limiter_create(&ten_a_minute, MOST);
    take_many(limiter, "flood", 20, second_ns);
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        take(limiter, name, second_ns);
        CU_ASSERT_FALSE(take(limiter, "flood", second_ns));
    }
    limiter_destroy(limiter);
}

static void without_memory_nobody_is_held_back(void)
{
    struct limiter *limiter = limiter_create(&ten_a_minute, 1000);
    for (unsigned nth = 1; nth <= 2; nth++) {
        mem_fail_after(nth);
        CU_ASSERT_TRUE(take(limiter, "anna", second_ns));
        mem_fail_after(0);
        CU_ASSERT_EQUAL(limiter_count(limiter), 0);
    }
    CU_ASSERT_EQUAL(take_many(limiter, "anna", 20, second_ns), 10);
    limiter_destroy(limiter);
}

struct taker {
    pthread_t thread;
    struct limiter *limiter;
    unsigned taken;
};

static void *take_often(void *arg)
{
    struct taker *taker = arg;
    taker->taken = take_many(taker->limiter, "anna", 2000, second_ns);
    take_each(taker->limiter, 2000, second_ns);
    return NULL;
}

static void threads_share_a_bucket(void)
{
    struct limit limit = {.count = 1000, .period_ms = 60000};
    struct limiter *limiter = limiter_create(&limit, 500);
    struct taker takers[4];
    unsigned taken = 0;
    for (unsigned i = 0; i < 4; i++) {
        takers[i] = (struct taker){.limiter = limiter};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&takers[i].thread, NULL, take_often, &takers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(takers[i].thread, NULL);
        taken += takers[i].taken;
    }
    CU_ASSERT_TRUE(taken >= 1000);
    CU_ASSERT_TRUE(limiter_count(limiter) <= 512);
    limiter_destroy(limiter);
}

CU_TestInfo limiter_tests[] = {
    {"each_name_has_a_bucket_of_its_own", each_name_has_a_bucket_of_its_own},
    {"off_keeps_no_buckets", off_keeps_no_buckets},
    {"there_are_never_more_than_the_bound", there_are_never_more_than_the_bound},
    {"full_buckets_are_forgotten_as_others_come", full_buckets_are_forgotten_as_others_come},
    {"who_is_held_back_stays_while_others_are_older",
     who_is_held_back_stays_while_others_are_older},
    {"without_memory_nobody_is_held_back", without_memory_nobody_is_held_back},
    {"threads_share_a_bucket", threads_share_a_bucket},
    CU_TEST_INFO_NULL,
};
