#include "core/limit/standing.h"

#include <CUnit/CUnit.h>

#include "core/base/mem.h"

static void keeps_the_address(void)
{
    struct address address;
    CU_ASSERT_TRUE_FATAL(address_parse(slice_str("192.0.2.1"), &address));
    struct standing *standing = standing_try_create(&address);
    CU_ASSERT_PTR_NOT_NULL_FATAL(standing);
    CU_ASSERT_TRUE(slice_equals(address_key(&standing->address), address_key(&address)));
    CU_ASSERT_PTR_NULL(standing->refusals);
    standing_destroy(standing);
    standing_destroy(NULL);
}

static void counts_refusals(void)
{
    struct standing *standing = standing_try_create(NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(standing);
    CU_ASSERT_EQUAL(standing_count_refusal(standing, 1000), 1);
    CU_ASSERT_EQUAL(standing_count_refusal(standing, 2000), 2);
    CU_ASSERT_EQUAL(standing_count_refusal(standing, 70000), 1);
    standing_destroy(standing);
}

static void without_memory_nothing_is_counted(void)
{
    mem_fail_after(1);
    CU_ASSERT_PTR_NULL(standing_try_create(NULL));
    mem_fail_after(0);
    struct standing *standing = standing_try_create(NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(standing);
    mem_fail_after(1);
    CU_ASSERT_EQUAL(standing_count_refusal(standing, 1000), 0);
    mem_fail_after(0);
    CU_ASSERT_EQUAL(standing_count_refusal(standing, 1000), 1);
    standing_destroy(standing);
}

CU_TestInfo standing_tests[] = {
    {"keeps_the_address", keeps_the_address},
    {"counts_refusals", counts_refusals},
    {"without_memory_nothing_is_counted", without_memory_nothing_is_counted},
    CU_TEST_INFO_NULL,
};
