#include "core/base/slice.h"

#include <CUnit/CUnit.h>

static void equal_means_same_length_and_bytes(void)
{
    CU_ASSERT_TRUE(slice_equals(slice_str("abc"), slice_of("abcd", 3)));
    CU_ASSERT_FALSE(slice_equals(slice_str("abc"), slice_str("abd")));
    CU_ASSERT_FALSE(slice_equals(slice_str("abc"), slice_str("ab")));
    CU_ASSERT_TRUE(slice_equals(slice_of("a\0b", 3), slice_of("a\0b", 3)));
    CU_ASSERT_FALSE(slice_equals(slice_of("a\0b", 3), slice_of("a\0c", 3)));
    CU_ASSERT_TRUE(slice_equals_str(slice_of("abc", 2), "ab"));
}

static void nothing_equals_nothing(void)
{
    CU_ASSERT_TRUE(slice_equals(SLICE_NONE, slice_str("")));
    CU_ASSERT_TRUE(slice_equals(slice_str(NULL), SLICE_NONE));
    CU_ASSERT_FALSE(slice_equals(SLICE_NONE, slice_str("a")));
}

static void a_prefix_may_be_all_but_not_more(void)
{
    CU_ASSERT_TRUE(slice_starts_with(slice_str("abc"), slice_str("ab")));
    CU_ASSERT_TRUE(slice_starts_with(slice_str("abc"), slice_str("abc")));
    CU_ASSERT_FALSE(slice_starts_with(slice_str("abc"), slice_str("abcd")));
    CU_ASSERT_FALSE(slice_starts_with(slice_str("abc"), slice_str("b")));
    CU_ASSERT_TRUE(slice_starts_with(SLICE_NONE, SLICE_NONE));
    CU_ASSERT_TRUE(slice_starts_with(slice_str("abc"), SLICE_NONE));
}

static void skipping_leaves_the_rest(void)
{
    CU_ASSERT_TRUE(slice_equals_str(slice_skip(slice_str("abc"), 0), "abc"));
    CU_ASSERT_TRUE(slice_equals_str(slice_skip(slice_str("abc"), 2), "c"));
    CU_ASSERT_TRUE(slice_equals_str(slice_skip(slice_str("abc"), 3), ""));
}

static void trimming_takes_blanks_from_both_ends(void)
{
    CU_ASSERT_TRUE(slice_equals_str(slice_trim(slice_str(" \t a \tb\t ")), "a \tb"));
    CU_ASSERT_TRUE(slice_equals_str(slice_trim(slice_str("a")), "a"));
    CU_ASSERT_TRUE(slice_equals_str(slice_trim(slice_str("\na\v")), "\na\v"));
    CU_ASSERT_TRUE(slice_equals_str(slice_trim(slice_str(" \t ")), ""));
    CU_ASSERT_TRUE(slice_equals_str(slice_trim(slice_str("")), ""));
    CU_ASSERT_PTR_NULL(slice_trim(SLICE_NONE).ptr);
}

CU_TestInfo slice_tests[] = {
    {"equal_means_same_length_and_bytes", equal_means_same_length_and_bytes},
    {"nothing_equals_nothing", nothing_equals_nothing},
    {"a_prefix_may_be_all_but_not_more", a_prefix_may_be_all_but_not_more},
    {"skipping_leaves_the_rest", skipping_leaves_the_rest},
    {"trimming_takes_blanks_from_both_ends", trimming_takes_blanks_from_both_ends},
    CU_TEST_INFO_NULL,
};
