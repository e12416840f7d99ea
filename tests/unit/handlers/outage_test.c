/* When clients are told that Redis is away or back. */
#include "handlers/outage.h"

#include <CUnit/CUnit.h>
#include <string.h>

extern CU_TestInfo outage_tests[];

enum { STEP_MS = OUTAGE_HOLD_MS / 4 };

/* Looks every STEP_MS at what each character says (+ connected, - away); where something is told,
 * the character of `told` is D or R, a blank otherwise. */
static void runs(const char *looks, const char *told)
{
    static const char signs[] = {[OUTAGE_SAME] = ' ', [OUTAGE_BEGAN] = 'D', [OUTAGE_ENDED] = 'R'};
    struct outage outage;
    char got[64] = "";
    uint64_t now_ms = 5000;
    outage_init(&outage);
    for (size_t i = 0; looks[i] != '\0'; i++, now_ms += STEP_MS)
        got[i] = signs[outage_look(&outage, looks[i] == '+', now_ms)];
    CU_ASSERT_STRING_EQUAL(got, told);
}

static void an_outage_is_told_once_it_lasts(void)
{
    runs("+++-------", "       D  ");
    runs("+++---------++++++++", "       D        R   ");
}

static void what_is_over_soon_is_told_to_nobody(void)
{
    runs("+++----++++++++", "               ");
    runs("+-+-+-+-+-+-+-+-+-+-", "                    ");
}

static void a_connection_that_comes_and_goes_is_one_outage(void)
{
    runs("------+-+-++++-++++-----+++++", "    D                       R");
}

static void a_start_without_redis_is_an_outage(void)
{
    runs("--++++++++", "          ");
    runs("------", "    D ");
}

CU_TestInfo outage_tests[] = {
    {"an_outage_is_told_once_it_lasts", an_outage_is_told_once_it_lasts},
    {"what_is_over_soon_is_told_to_nobody", what_is_over_soon_is_told_to_nobody},
    {"a_connection_that_comes_and_goes_is_one_outage",
     a_connection_that_comes_and_goes_is_one_outage},
    {"a_start_without_redis_is_an_outage", a_start_without_redis_is_an_outage},
    CU_TEST_INFO_NULL,
};
