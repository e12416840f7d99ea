#include "tests/bench/load/stamp.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#define TIME_MAX ((UINT64_C(1) << 48) - 1)

static const struct stamp stamps[] = {
    {.number = 0, .sender = 0, .time_ns = 0},
    {.number = 1, .sender = 2, .time_ns = 3},
    {.number = UINT32_MAX, .sender = UINT16_MAX, .time_ns = TIME_MAX},
    {.number = 0x12345678, .sender = 0x9abc, .time_ns = 0xdef012345678},
};

static size_t write_text(char *text, size_t size, const char *before, const struct stamp *stamp)
{
    char letters[STAMP_LETTERS];
    stamp_write(letters, stamp);
    int len = snprintf(text, size, "%s\"s\":\"%.*s\"}", before, STAMP_LETTERS, letters);
    return (size_t)len;
}

static bool finds(const char *text, size_t len, size_t *hint, const struct stamp *expected)
{
    struct stamp found;
    return stamp_find(text, len, hint, &found) && found.number == expected->number &&
           found.sender == expected->sender && found.time_ns == expected->time_ns;
}

static void reads_what_it_wrote(void)
{
    char text[128];
    for (size_t i = 0; i < sizeof stamps / sizeof *stamps; i++) {
        size_t hint = 0, len = write_text(text, sizeof text, "{", &stamps[i]);
        CU_ASSERT_TRUE(finds(text, len, &hint, &stamps[i]));
    }
}

static void finds_stamps_at_changing_places(void)
{
    static const char *const before[] = {"{", "{\"id\":1,", "{\"data\":{", "{"};
    char text[128];
    size_t hint = 0;
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        size_t len = write_text(text, sizeof text, before[i], &stamps[1]);
        CU_ASSERT_TRUE(finds(text, len, &hint, &stamps[1]));
        CU_ASSERT_EQUAL(hint, strlen(before[i]));
    }
}

static void finds_none_in_a_text_that_ends_too_early(void)
{
    char text[128];
    struct stamp found;
    size_t len = write_text(text, sizeof text, "{", &stamps[1]);
    for (size_t cut = 0; cut < len - 2; cut++) {
        size_t hint = 0;
        CU_ASSERT_FALSE(stamp_find(text, cut, &hint, &found));
    }
    size_t hint = 0;
    CU_ASSERT_FALSE(stamp_find("{\"x\":1}", 7, &hint, &found));
}

static void tells_the_age_over_the_end_of_its_time(void)
{
    const struct stamp late = {.time_ns = TIME_MAX};
    CU_ASSERT_EQUAL(stamp_age_ns(&late, TIME_MAX + 1), 1);
    CU_ASSERT_EQUAL(stamp_age_ns(&stamps[1], 10), 7);
}

CU_TestInfo stamp_tests[] = {
    {"reads_what_it_wrote", reads_what_it_wrote},
    {"finds_stamps_at_changing_places", finds_stamps_at_changing_places},
    {"finds_none_in_a_text_that_ends_too_early", finds_none_in_a_text_that_ends_too_early},
    {"tells_the_age_over_the_end_of_its_time", tells_the_age_over_the_end_of_its_time},
    CU_TEST_INFO_NULL,
};
