#include "core/base/duration.h"

#include <CUnit/CUnit.h>

static void durations_have_a_unit(void)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {{"0ms", 0},     {"1ms", 1},          {"25s", 25000},
                {"2m", 120000}, {"1440m", 86400000}, {"18446744073709551615ms", UINT64_MAX}};
    uint64_t ms = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!duration_parse(slice_str(rows[i].text), &ms) || ms != rows[i].ms)
            CU_FAIL(rows[i].text);
}

static void other_texts_are_refused(void)
{
    static const char *const rows[] = {"",
                                       "5",
                                       "s",
                                       "ms",
                                       "-5s",
                                       "+5s",
                                       "5 s",
                                       " 5s",
                                       "5s ",
                                       "5h",
                                       "5M",
                                       "1.5s",
                                       "5sm",
                                       "1s2",
                                       "0x1s",
                                       "18446744073709551616ms",
                                       "18446744073709551615s"};
    uint64_t ms = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (duration_parse(slice_str(rows[i]), &ms))
            CU_FAIL(rows[i]);
}

static void octets_behind_the_text_are_not_looked_at(void)
{
    uint64_t ms = 0, number = 0;
    CU_ASSERT_TRUE(duration_parse(slice_of("12s34", 3), &ms));
    CU_ASSERT_EQUAL(ms, 12000);
    CU_ASSERT_FALSE(duration_parse(slice_of("12s34", 2), &ms));
    CU_ASSERT_TRUE(duration_parse_number(slice_of("1234", 3), &number));
    CU_ASSERT_EQUAL(number, 123);
    CU_ASSERT_FALSE(duration_parse_number(slice_of("1234", 0), &number));
}

static void are_written_in_their_largest_unit(void)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {{0, "0ms"},    {1, "1ms"},     {1000, "1s"},       {1500, "1500ms"},
                {60000, "1m"}, {90000, "90s"}, {86400000, "1440m"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf text;
        buf_init(&text, 64);
        duration_append(&text, rows[i].ms);
        CU_ASSERT_TRUE(slice_equals_str(buf_slice(&text), rows[i].text));
        buf_fini(&text);
    }
}

CU_TestInfo duration_tests[] = {
    {"durations_have_a_unit", durations_have_a_unit},
    {"other_texts_are_refused", other_texts_are_refused},
    {"octets_behind_the_text_are_not_looked_at", octets_behind_the_text_are_not_looked_at},
    {"are_written_in_their_largest_unit", are_written_in_their_largest_unit},
    CU_TEST_INFO_NULL,
};
