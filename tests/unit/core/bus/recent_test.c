#include "core/bus/recent.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

#include "core/base/mem.h"

extern CU_TestInfo recent_tests[];

static bool repeats(struct recent *recent, const char *pod, const char *channel, unsigned number)
{
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    return recent_is_repeat(recent, slice_str(pod), slice_str(channel), slice_str(text));
}

static void tells_a_repeat_by_pod_channel_and_payload(void)
{
    struct recent recent;
    recent_init(&recent);
    CU_ASSERT_FALSE(repeats(&recent, "a", "c", 1));
    CU_ASSERT_TRUE(repeats(&recent, "a", "c", 1));
    CU_ASSERT_FALSE(repeats(&recent, "a", "c", 2));
    CU_ASSERT_FALSE(repeats(&recent, "a", "d", 1));
    CU_ASSERT_FALSE(repeats(&recent, "b", "c", 1));
    CU_ASSERT_FALSE(repeats(&recent, "a", "7", 7));
    CU_ASSERT_FALSE(repeats(&recent, "a", "8", 8));
    recent_fini(&recent);
}

/* The last RECENT_PER_POD are known, the one before them is not any more. */
static void remembers_so_many_of_each_pod(void)
{
    struct recent recent;
    recent_init(&recent);
    for (unsigned i = 0; i <= 3 * RECENT_PER_POD; i++)
        CU_ASSERT_FALSE(repeats(&recent, "a", "c", i));
    for (unsigned i = 2 * RECENT_PER_POD + 1; i <= 3 * RECENT_PER_POD; i++)
        CU_ASSERT_TRUE(repeats(&recent, "a", "c", i));
    CU_ASSERT_FALSE(repeats(&recent, "a", "c", 2 * RECENT_PER_POD));
    recent_fini(&recent);
}

static void forgets_the_pod_not_heard_for_longest(void)
{
    struct recent recent;
    char pod[16];
    recent_init(&recent);
    for (unsigned i = 0; i < RECENT_PODS; i++) {
        snprintf(pod, sizeof pod, "pod-%u", i);
        CU_ASSERT_FALSE(repeats(&recent, pod, "c", 1));
    }
    CU_ASSERT_TRUE(repeats(&recent, "pod-0", "c", 1));
    CU_ASSERT_FALSE(repeats(&recent, "one-more", "c", 1));
    CU_ASSERT_TRUE(repeats(&recent, "pod-0", "c", 1));
    CU_ASSERT_TRUE(repeats(&recent, "pod-2", "c", 1));
    CU_ASSERT_FALSE(repeats(&recent, "pod-1", "c", 1));
    CU_ASSERT_EQUAL(recent.pods.count, RECENT_PODS);
    recent_fini(&recent);
}

static void lets_all_through_without_memory(void)
{
    for (unsigned nth = 1; nth <= 2; nth++) {
        struct recent recent;
        recent_init(&recent);
        mem_fail_after(nth);
        CU_ASSERT_FALSE(repeats(&recent, "a", "c", 1));
        mem_fail_after(0);
        CU_ASSERT_FALSE(repeats(&recent, "a", "c", 1));
        CU_ASSERT_TRUE(repeats(&recent, "a", "c", 1));
        recent_fini(&recent);
    }
}

CU_TestInfo recent_tests[] = {
    {"tells_a_repeat_by_pod_channel_and_payload", tells_a_repeat_by_pod_channel_and_payload},
    {"remembers_so_many_of_each_pod", remembers_so_many_of_each_pod},
    {"forgets_the_pod_not_heard_for_longest", forgets_the_pod_not_heard_for_longest},
    {"lets_all_through_without_memory", lets_all_through_without_memory},
    CU_TEST_INFO_NULL,
};
