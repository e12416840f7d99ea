#include "app/heap.h"

#include <CUnit/CUnit.h>

enum { MIB = 1024 * 1024, FRESH = 10 * MIB };

static struct heap_watch fresh_watch(void)
{
    struct heap_watch watch;
    heap_watch_init(&watch, 0, 0, FRESH);
    return watch;
}

static void looks_are_an_interval_apart(void)
{
    struct heap_watch watch = fresh_watch();
    CU_ASSERT_FALSE(heap_watch_is_quiet(&watch, HEAP_LOOK_MS - 1, 0));
    CU_ASSERT_TRUE(heap_watch_is_quiet(&watch, HEAP_LOOK_MS, 0));
    CU_ASSERT_FALSE(heap_watch_is_quiet(&watch, 2 * HEAP_LOOK_MS - 1, 0));
    CU_ASSERT_TRUE(heap_watch_is_quiet(&watch, 2 * HEAP_LOOK_MS, 0));
}

static void work_since_the_last_look_is_not_quiet(void)
{
    const uint64_t bound_ms = HEAP_LOOK_MS * HEAP_QUIET_PER_CENT / 100;
    struct heap_watch watch = fresh_watch();
    CU_ASSERT_FALSE(heap_watch_is_quiet(&watch, HEAP_LOOK_MS, bound_ms));
    CU_ASSERT_FALSE(heap_watch_is_quiet(&watch, 2 * HEAP_LOOK_MS, 2 * bound_ms));
    CU_ASSERT_TRUE(heap_watch_is_quiet(&watch, 3 * HEAP_LOOK_MS, 3 * bound_ms - 1));
}

static void trims_from_the_slack_on(void)
{
    struct heap_watch watch = fresh_watch();
    CU_ASSERT_FALSE(heap_watch_judge(&watch, FRESH));
    CU_ASSERT_FALSE(heap_watch_judge(&watch, FRESH + HEAP_SLACK_BYTES - 1));
    CU_ASSERT_TRUE(heap_watch_judge(&watch, FRESH + HEAP_SLACK_BYTES));
}

static void what_a_trim_leaves_is_no_reason_for_another(void)
{
    struct heap_watch watch = fresh_watch();
    heap_watch_trimmed(&watch, 50 * MIB);
    CU_ASSERT_FALSE(heap_watch_judge(&watch, 50 * MIB + HEAP_SLACK_BYTES - 1));
    CU_ASSERT_TRUE(heap_watch_judge(&watch, 50 * MIB + HEAP_SLACK_BYTES));
}

static void the_floor_follows_what_shrinks(void)
{
    struct heap_watch watch = fresh_watch();
    heap_watch_trimmed(&watch, 50 * MIB);
    CU_ASSERT_FALSE(heap_watch_judge(&watch, 20 * MIB));
    CU_ASSERT_TRUE(heap_watch_judge(&watch, 20 * MIB + HEAP_SLACK_BYTES));
}

static void a_process_begins_with_what_it_keeps(void)
{
    struct heap_watch watch;
    heap_start(&watch);
    CU_ASSERT(watch.looked_ms > 0);
    CU_ASSERT(watch.floor_bytes < (size_t)1024 * 1024 * MIB);
    heap_tick(&watch);
    CU_ASSERT_FALSE(heap_watch_judge(&watch, watch.floor_bytes));
}

CU_TestInfo heap_tests[] = {
    {"looks_are_an_interval_apart", looks_are_an_interval_apart},
    {"work_since_the_last_look_is_not_quiet", work_since_the_last_look_is_not_quiet},
    {"trims_from_the_slack_on", trims_from_the_slack_on},
    {"what_a_trim_leaves_is_no_reason_for_another", what_a_trim_leaves_is_no_reason_for_another},
    {"the_floor_follows_what_shrinks", the_floor_follows_what_shrinks},
    {"a_process_begins_with_what_it_keeps", a_process_begins_with_what_it_keeps},
    CU_TEST_INFO_NULL,
};
