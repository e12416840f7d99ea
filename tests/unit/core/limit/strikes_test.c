#include "core/limit/strikes.h"

#include <CUnit/CUnit.h>

enum { SECOND_MS = 1000 };

static void all_of_one_moment_count(void)
{
    struct strikes strikes = {0};
    for (unsigned i = 1; i <= 200; i++)
        CU_ASSERT_EQUAL(strikes_add(&strikes, 123456789), i);
}

static void each_is_forgotten_after_a_minute(void)
{
    struct strikes strikes = {0};
    for (unsigned second = 1; second <= 300; second++)
        CU_ASSERT_EQUAL(strikes_add(&strikes, second * SECOND_MS), second < 60 ? second : 60);
}

static void the_last_second_of_the_minute_counts(void)
{
    struct strikes strikes = {0};
    CU_ASSERT_EQUAL(strikes_add(&strikes, 100 * SECOND_MS), 1);
    CU_ASSERT_EQUAL(strikes_add(&strikes, 100 * SECOND_MS + 999), 2);
    CU_ASSERT_EQUAL(strikes_add(&strikes, 159 * SECOND_MS + 999), 3);
    CU_ASSERT_EQUAL(strikes_add(&strikes, 160 * SECOND_MS), 2);
}

static void a_long_silence_forgets_all(void)
{
    static const uint64_t silences_s[] = {60, 61, 119, 120, 121, 86400, 100000000};
    for (size_t i = 0; i < sizeof silences_s / sizeof *silences_s; i++) {
        struct strikes strikes = {0};
        for (unsigned second = 0; second < 60; second++)
            strikes_add(&strikes, (1000 + second) * SECOND_MS);
        CU_ASSERT_EQUAL(strikes_add(&strikes, (1059 + silences_s[i]) * SECOND_MS), 1);
    }
}

static void a_count_does_not_begin_anew_when_its_place_is_full(void)
{
    struct strikes strikes = {0};
    for (unsigned i = 1; i <= 1000; i++)
        CU_ASSERT_EQUAL(strikes_add(&strikes, 5 * SECOND_MS), i < 255 ? i : 255);
}

CU_TestInfo strikes_tests[] = {
    {"all_of_one_moment_count", all_of_one_moment_count},
    {"each_is_forgotten_after_a_minute", each_is_forgotten_after_a_minute},
    {"the_last_second_of_the_minute_counts", the_last_second_of_the_minute_counts},
    {"a_long_silence_forgets_all", a_long_silence_forgets_all},
    {"a_count_does_not_begin_anew_when_its_place_is_full",
     a_count_does_not_begin_anew_when_its_place_is_full},
    CU_TEST_INFO_NULL,
};
