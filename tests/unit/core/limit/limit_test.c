#include "core/limit/limit.h"

#include <CUnit/CUnit.h>

static const uint64_t second_ns = 1000000000;
static const uint64_t start_ns = 77 * 1000000000ULL;
static const struct limit sixty_a_minute = {.count = 60, .period_ms = 60000};

/* How many of `tries` at this moment are allowed. */
static unsigned take_many(struct bucket *bucket, const struct limit *limit, unsigned tries,
                          uint64_t now_ns)
{
    unsigned taken = 0;
    uint64_t retry_after_ms;
    for (unsigned i = 0; i < tries; i++)
        taken += bucket_take(bucket, limit, now_ns, &retry_after_ms);
    return taken;
}

static void limits_are_a_number_in_a_time(void)
{
    static const struct {
        const char *text;
        uint32_t count;
        uint64_t period_ms;
    } rows[] = {{"60/1m", 60, 60000},  {"1/10ms", 1, 10},   {"1000000/1440m", 1000000, 86400000},
                {"10/30s", 10, 30000}, {"007/1s", 7, 1000}, {"off", 0, 0}};
    struct limit limit;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!limit_parse(slice_str(rows[i].text), &limit) || limit.count != rows[i].count ||
            limit.period_ms != rows[i].period_ms)
            CU_FAIL(rows[i].text);
}

static void other_texts_are_refused(void)
{
    static const char *const rows[] = {"",
                                       "60",
                                       "/",
                                       "60/",
                                       "/1m",
                                       "0/1m",
                                       "-1/1m",
                                       "60/1",
                                       "60/m",
                                       "60/1h",
                                       "60 /1m",
                                       "60/ 1m",
                                       "1.5/1m",
                                       "60/1m/1m",
                                       "Off",
                                       "60/0s",
                                       "60/9ms",
                                       "1000001/1m",
                                       "1/1441m",
                                       "99999999999999999999/1m",
                                       "60/99999999999999999999m",
                                       "off/1m",
                                       " off"};
    struct limit limit;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (limit_parse(slice_str(rows[i]), &limit))
            CU_FAIL(rows[i]);
}

static void are_written_as_they_are_read(void)
{
    static const char *const rows[] = {"60/1m", "off", "10/30s", "1/1500ms"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct limit limit;
        struct buf text;
        buf_init(&text, 64);
        CU_ASSERT_TRUE(limit_parse(slice_str(rows[i]), &limit));
        limit_append(&text, &limit);
        CU_ASSERT_TRUE(slice_equals_str(buf_slice(&text), rows[i]));
        buf_fini(&text);
    }
}

static void a_new_bucket_holds_the_whole_burst(void)
{
    struct bucket bucket = {0};
    CU_ASSERT_EQUAL(take_many(&bucket, &sixty_a_minute, 100, start_ns), 60);
}

static void tokens_flow_back_one_by_one(void)
{
    struct bucket bucket = {0};
    take_many(&bucket, &sixty_a_minute, 60, start_ns);
    CU_ASSERT_EQUAL(take_many(&bucket, &sixty_a_minute, 9, start_ns + second_ns - 1), 0);
    CU_ASSERT_EQUAL(take_many(&bucket, &sixty_a_minute, 9, start_ns + second_ns), 1);
    CU_ASSERT_EQUAL(take_many(&bucket, &sixty_a_minute, 9, start_ns + 4 * second_ns), 3);
    CU_ASSERT_EQUAL(take_many(&bucket, &sixty_a_minute, 99, start_ns + 64 * second_ns), 60);
}

static void a_bucket_never_holds_more_than_the_burst(void)
{
    struct bucket bucket = {0};
    CU_ASSERT_EQUAL(take_many(&bucket, &sixty_a_minute, 1, start_ns), 1);
    CU_ASSERT_EQUAL(take_many(&bucket, &sixty_a_minute, 1000, start_ns + 3600 * second_ns), 60);
}

static void who_is_refused_learns_when_to_come_back(void)
{
    struct bucket bucket = {0};
    uint64_t retry_after_ms = 1;
    CU_ASSERT_TRUE(bucket_take(&bucket, &sixty_a_minute, start_ns, &retry_after_ms));
    CU_ASSERT_EQUAL(retry_after_ms, 0);
    take_many(&bucket, &sixty_a_minute, 59, start_ns);
    for (unsigned ms = 0; ms < 1000; ms += 37) {
        uint64_t now_ns = start_ns + ms * 1000000ULL;
        CU_ASSERT_FALSE(bucket_take(&bucket, &sixty_a_minute, now_ns, &retry_after_ms));
        CU_ASSERT_EQUAL(retry_after_ms, 1000 - ms);
    }
    /* A refusal takes nothing: the promise is kept. */
    CU_ASSERT_FALSE(bucket_take(&bucket, &sixty_a_minute, start_ns + 1, &retry_after_ms));
    CU_ASSERT_EQUAL(retry_after_ms, 1000);
    CU_ASSERT_TRUE(
        bucket_take(&bucket, &sixty_a_minute, start_ns + 1 + second_ns, &retry_after_ms));
}

/* Whoever tries all the time gets the burst and then the rate, whatever limit. */
static void the_rate_holds_over_time(void)
{
    static const struct limit limits[] = {{60, 60000}, {10, 60000}, {30, 60000},    {7, 1000},
                                          {1, 10},     {3, 60000},  {100000, 60000}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        enum { PERIODS = 20, TRIES = 1000 };
        struct bucket bucket = {0};
        uint64_t period_ns = limits[i].period_ms * 1000000;
        uint64_t taken = take_many(&bucket, &limits[i], limits[i].count, start_ns);
        for (uint64_t at = 0; at < (uint64_t)PERIODS * TRIES; at++)
            taken += take_many(&bucket, &limits[i], limits[i].count / TRIES + 2,
                               start_ns + period_ns / TRIES * at);
        uint64_t expected = (uint64_t)limits[i].count * (PERIODS + 1);
        CU_ASSERT_TRUE(taken <= expected);
        CU_ASSERT_TRUE(taken + 1 + limits[i].count / TRIES >= expected);
    }
}

static void the_burst_is_exact_for_every_number(void)
{
    for (uint32_t count = 1; count <= 1000; count++) {
        struct limit limit = {.count = count, .period_ms = 1000};
        struct bucket bucket = {0};
        CU_ASSERT_EQUAL(take_many(&bucket, &limit, count + 2, start_ns), count);
    }
    struct limit largest = {.count = LIMIT_COUNT_MAX - 1, .period_ms = LIMIT_PERIOD_MS_MIN};
    struct bucket bucket = {0};
    CU_ASSERT_EQUAL(take_many(&bucket, &largest, LIMIT_COUNT_MAX + 1, start_ns),
                    LIMIT_COUNT_MAX - 1);
}

static void off_is_no_limit(void)
{
    struct limit off = {0};
    struct bucket bucket = {0};
    CU_ASSERT_EQUAL(take_many(&bucket, &off, 100000, start_ns), 100000);
    CU_ASSERT_TRUE(bucket_is_full(&bucket, start_ns));
}

static void a_bucket_that_is_full_again_is_like_a_new_one(void)
{
    struct bucket bucket = {0};
    CU_ASSERT_TRUE(bucket_is_full(&bucket, 0));
    take_many(&bucket, &sixty_a_minute, 2, start_ns);
    CU_ASSERT_FALSE(bucket_is_full(&bucket, start_ns + 2 * second_ns - 1));
    CU_ASSERT_TRUE(bucket_is_full(&bucket, start_ns + 2 * second_ns));
}

CU_TestInfo limit_tests[] = {
    {"limits_are_a_number_in_a_time", limits_are_a_number_in_a_time},
    {"other_texts_are_refused", other_texts_are_refused},
    {"are_written_as_they_are_read", are_written_as_they_are_read},
    {"a_new_bucket_holds_the_whole_burst", a_new_bucket_holds_the_whole_burst},
    {"tokens_flow_back_one_by_one", tokens_flow_back_one_by_one},
    {"a_bucket_never_holds_more_than_the_burst", a_bucket_never_holds_more_than_the_burst},
    {"who_is_refused_learns_when_to_come_back", who_is_refused_learns_when_to_come_back},
    {"the_rate_holds_over_time", the_rate_holds_over_time},
    {"the_burst_is_exact_for_every_number", the_burst_is_exact_for_every_number},
    {"off_is_no_limit", off_is_no_limit},
    {"a_bucket_that_is_full_again_is_like_a_new_one",
     a_bucket_that_is_full_again_is_like_a_new_one},
    CU_TEST_INFO_NULL,
};
