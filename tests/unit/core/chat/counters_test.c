#include "core/chat/counters.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stddef.h>

static void a_bound_belongs_to_its_bucket(void)
{
    for (unsigned i = 0; i < LATENCY_BUCKETS - 1; i++) {
        for (int past = -1; past <= 1; past++) {
            struct counters counters = {0};
            uint64_t ns = counters_latency_bounds_ns[i] + (uint64_t)(int64_t)past;
            counters_observe_latency(&counters, ns, 3);
            unsigned expected = past <= 0 ? i : i + 1;
            for (unsigned j = 0; j < LATENCY_BUCKETS; j++)
                CU_ASSERT_EQUAL(counter_get(&counters.latency_buckets[j]), j == expected ? 3 : 0);
            CU_ASSERT_EQUAL(counter_get(&counters.latency_sum_ns), ns * 3);
        }
    }
}

static void bounds_ascend(void)
{
    for (unsigned i = 1; i < LATENCY_BUCKETS - 1; i++)
        CU_ASSERT_TRUE(counters_latency_bounds_ns[i - 1] < counters_latency_bounds_ns[i]);
}

static void the_last_bucket_takes_the_rest(void)
{
    struct counters counters = {0};
    counters_observe_latency(&counters, UINT64_MAX, 1);
    CU_ASSERT_EQUAL(counter_get(&counters.latency_buckets[LATENCY_BUCKETS - 1]), 1);
}

static void a_sum_has_every_counter(void)
{
    enum { MEMBERS = sizeof(struct counters) / sizeof(counter) };
    struct counters sum = {0}, a = {0}, b = {0};
    for (size_t i = 0; i < MEMBERS; i++) {
        counter_add((counter *)&a + i, i + 1);
        counter_add((counter *)&b + i, 1000);
    }
    counters_sum(&sum, &a);
    counters_sum(&sum, &b);
    for (size_t i = 0; i < MEMBERS; i++)
        CU_ASSERT_EQUAL(counter_get((counter *)&sum + i), 1001 + i);
    CU_ASSERT_EQUAL(counter_get(&sum.connections_total), 1001);
    CU_ASSERT_EQUAL(counter_get(&sum.latency_sum_ns), 1000 + MEMBERS);
}

static void *count_up(void *arg)
{
    struct counters *counters = arg;
    for (int i = 0; i < 10000; i++)
        counter_add(&counters->bytes_sent_total, 1);
    return NULL;
}

static void may_be_read_while_it_is_written(void)
{
    struct counters counters = {0};
    uint64_t before = 0;
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, count_up, &counters), 0);
    for (int i = 0; i < 1000; i++) {
        struct counters sum = {0};
        counters_sum(&sum, &counters);
        uint64_t now = counter_get(&sum.bytes_sent_total);
        CU_ASSERT_TRUE(now >= before);
        before = now;
    }
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(counter_get(&counters.bytes_sent_total), 10000);
}

CU_TestInfo counters_tests[] = {
    {"a_bound_belongs_to_its_bucket", a_bound_belongs_to_its_bucket},
    {"bounds_ascend", bounds_ascend},
    {"the_last_bucket_takes_the_rest", the_last_bucket_takes_the_rest},
    {"a_sum_has_every_counter", a_sum_has_every_counter},
    {"may_be_read_while_it_is_written", may_be_read_while_it_is_written},
    CU_TEST_INFO_NULL,
};
