#include "core/base/clock.h"

#include <CUnit/CUnit.h>
#include <string.h>
#include <time.h>

static void formats_rfc3339_with_milliseconds(void)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {999, "1970-01-01T00:00:00.999Z"},
        {1000, "1970-01-01T00:00:01.000Z"},
        {951782399999u, "2000-02-28T23:59:59.999Z"},
        {951782400000u, "2000-02-29T00:00:00.000Z"},
        {1770249600007u, "2026-02-05T00:00:00.007Z"},
        {253402300799999u, "9999-12-31T23:59:59.999Z"},
        {253402300800000u, "9999-12-31T23:59:59.999Z"},
        {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[CLOCK_RFC3339_SIZE + 1];
        memset(text, '!', sizeof text);
        clock_format_rfc3339(rows[i].ms, text);
        CU_ASSERT_STRING_EQUAL(text, rows[i].text);
        CU_ASSERT_EQUAL(text[CLOCK_RFC3339_SIZE], '!');
    }
}

static void reads_back_what_it_wrote(void)
{
    static const uint64_t times[] = {0, 999, 951782400000u, 1770249600007u, 253402300799999u};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[CLOCK_RFC3339_SIZE];
        uint64_t wall_ms = 1;
        clock_format_rfc3339(times[i], text);
        CU_ASSERT_TRUE(clock_parse_rfc3339(slice_str(text), &wall_ms));
        CU_ASSERT_EQUAL(wall_ms, times[i]);
        for (size_t len = 0; len < strlen(text); len++)
            CU_ASSERT_FALSE(clock_parse_rfc3339(slice_of(text, len), &wall_ms));
    }
}

static void refuses_what_is_no_time(void)
{
    static const char *const texts[] = {
        "2026-02-05T00:00:00.007z",  "2026-02-05 00:00:00.007Z", "2026-02-05T00:00:00.0071Z",
        "2026-02-30T00:00:00.007Z",  "2026-02-05T24:00:00.007Z", "2026-13-05T00:00:00.007Z",
        "2026-02-05T00:00:00.00aZ",  "1969-12-31T23:59:59.999Z", "2026-02-05T00:00:60.000Z",
        "2026-02-05T00:00:00+01:00",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint64_t wall_ms;
        CU_ASSERT_FALSE(clock_parse_rfc3339(slice_str(texts[i]), &wall_ms));
    }
}

static void monotonic_time_never_goes_back(void)
{
    uint64_t last = clock_monotonic_ns();
    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_monotonic_ns();
        CU_ASSERT_TRUE(now >= last);
        last = now;
    }
    CU_ASSERT_TRUE(clock_monotonic_ms() >= last / 1000000u);
}

static void wall_time_is_the_time_of_day(void)
{
    uint64_t before = (uint64_t)time(NULL);
    uint64_t now = clock_wall_ms() / 1000u;
    /* time() may lag by a tick of the kernel. */
    CU_ASSERT_TRUE(now + 1 >= before && now <= (uint64_t)time(NULL) + 1);
}

CU_TestInfo clock_tests[] = {
    {"formats_rfc3339_with_milliseconds", formats_rfc3339_with_milliseconds},
    {"reads_back_what_it_wrote", reads_back_what_it_wrote},
    {"refuses_what_is_no_time", refuses_what_is_no_time},
    {"monotonic_time_never_goes_back", monotonic_time_never_goes_back},
    {"wall_time_is_the_time_of_day", wall_time_is_the_time_of_day},
    CU_TEST_INFO_NULL,
};
