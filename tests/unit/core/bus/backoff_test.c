#include "core/bus/backoff.h"

#include <CUnit/CUnit.h>

#include "core/bus/bus.h"

extern CU_TestInfo backoff_tests[];

static void tries_often_while_redis_lived_lately(void)
{
    struct backoff backoff;
    backoff_reset(&backoff, 1000);
    for (uint32_t random = 0; random < 1000; random++) {
        uint64_t wait_ms = backoff_next_ms(&backoff, 1000 + BACKOFF_EAGER_MS - 1, false, random);
        CU_ASSERT(wait_ms >= BUS_BACKOFF_MIN_MS && wait_ms <= BACKOFF_EAGER_MAX_MS);
    }
}

static void check_growth(uint64_t now_ms, bool refused)
{
    struct backoff backoff;
    uint64_t before_ms = 0;
    backoff_reset(&backoff, 0);
    for (int i = 0; i < 40; i++) {
        uint64_t wait_ms = backoff_next_ms(&backoff, now_ms, refused, 0);
        CU_ASSERT(wait_ms >= before_ms && wait_ms <= BUS_BACKOFF_MAX_MS);
        before_ms = wait_ms;
    }
    CU_ASSERT_EQUAL(before_ms, BUS_BACKOFF_MAX_MS / 2);
    CU_ASSERT(backoff_next_ms(&backoff, now_ms, refused, UINT32_MAX) <= BUS_BACKOFF_MAX_MS);
}

static void waits_longer_and_longer_later(void)
{
    check_growth(BACKOFF_EAGER_MS, false);
}

static void waits_longer_and_longer_when_refused(void)
{
    check_growth(0, true);
}

static void begins_anew_after_a_reset(void)
{
    struct backoff backoff;
    backoff_reset(&backoff, 0);
    for (int i = 0; i < 10; i++)
        backoff_next_ms(&backoff, BACKOFF_EAGER_MS, false, 0);
    backoff_reset(&backoff, 99999);
    CU_ASSERT_EQUAL(backoff_next_ms(&backoff, 99999, false, 0), BUS_BACKOFF_MIN_MS);
}

CU_TestInfo backoff_tests[] = {
    {"tries_often_while_redis_lived_lately", tries_often_while_redis_lived_lately},
    {"waits_longer_and_longer_later", waits_longer_and_longer_later},
    {"waits_longer_and_longer_when_refused", waits_longer_and_longer_when_refused},
    {"begins_anew_after_a_reset", begins_anew_after_a_reset},
    CU_TEST_INFO_NULL,
};
