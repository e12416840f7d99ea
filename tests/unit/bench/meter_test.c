#include "tests/bench/load/meter.h"

#include <CUnit/CUnit.h>
#include <unistd.h>

static void quantiles_are_at_most_a_32nd_too_high(void)
{
    static struct histogram histogram;
    for (uint64_t value = 1; value <= 100000; value++)
        histogram_add(&histogram, value * 1000);
    static const double shares[] = {0.01, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        double exact = shares[i] * 1e8, got = (double)histogram_quantile(&histogram, shares[i]);
        CU_ASSERT_TRUE(got >= exact && got <= exact * (1 + 1.0 / 31) + 1000);
    }
    CU_ASSERT_EQUAL(histogram_quantile(&histogram, 1), 100000000);
}

static void an_empty_histogram_has_no_quantile(void)
{
    static const struct histogram histogram;
    CU_ASSERT_EQUAL(histogram_quantile(&histogram, 0.5), 0);
}

static void small_values_are_exact(void)
{
    for (unsigned value = 0; value < 64; value++) {
        struct histogram histogram = {.count = 0};
        histogram_add(&histogram, value);
        histogram_add(&histogram, 1000);
        CU_ASSERT_EQUAL(histogram_quantile(&histogram, 0.4), value);
    }
}

static void tells_what_this_process_used(void)
{
    struct usage before = usage_of(getpid()), after;
    do
        after = usage_of(getpid());
    while (after.cpu_s <= before.cpu_s);
    struct usage between = usage_between(&before, &after);
    CU_ASSERT_TRUE(between.known && between.cpu_s > 0 && between.wanted_s >= 0);
    CU_ASSERT_TRUE(after.rss_bytes > 0);
    CU_ASSERT_FALSE(usage_of(0).known);
}

CU_TestInfo meter_tests[] = {
    {"quantiles_are_at_most_a_32nd_too_high", quantiles_are_at_most_a_32nd_too_high},
    {"an_empty_histogram_has_no_quantile", an_empty_histogram_has_no_quantile},
    {"small_values_are_exact", small_values_are_exact},
    {"tells_what_this_process_used", tells_what_this_process_used},
    CU_TEST_INFO_NULL,
};
