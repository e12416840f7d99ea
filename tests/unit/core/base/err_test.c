#include "core/base/err.h"

#include <CUnit/CUnit.h>

static void each_code_has_the_name_of_the_contract(void)
{
    CU_ASSERT_STRING_EQUAL(fault_code_name(FAULT_AUTH_FAILED), "AUTH_FAILED");
    CU_ASSERT_STRING_EQUAL(fault_code_name(FAULT_RATE_LIMITED), "RATE_LIMITED");
    CU_ASSERT_STRING_EQUAL(fault_code_name(FAULT_INVALID_PAYLOAD), "INVALID_PAYLOAD");
    CU_ASSERT_STRING_EQUAL(fault_code_name(FAULT_CHANNEL_ERROR), "CHANNEL_ERROR");
    CU_ASSERT_STRING_EQUAL(fault_code_name(FAULT_NOT_FOUND), "NOT_FOUND");
    CU_ASSERT_STRING_EQUAL(fault_code_name(FAULT_METHOD_NOT_ALLOWED), "METHOD_NOT_ALLOWED");
    CU_ASSERT_STRING_EQUAL(fault_code_name(FAULT_UPGRADE_REQUIRED), "UPGRADE_REQUIRED");
    CU_ASSERT_STRING_EQUAL(fault_code_name(FAULT_UNAVAILABLE), "UNAVAILABLE");
    CU_ASSERT_STRING_EQUAL(fault_code_name(FAULT_INTERNAL), "INTERNAL");
}

static void no_code_is_without_a_name(void)
{
    for (int code = 0; code < FAULT_CODES; code++)
        CU_ASSERT_PTR_NOT_NULL(fault_code_name((enum fault_code)code));
    CU_ASSERT_STRING_EQUAL(fault_code_name(FAULT_CODES), "INTERNAL");
}

CU_TestInfo err_tests[] = {
    {"each_code_has_the_name_of_the_contract", each_code_has_the_name_of_the_contract},
    {"no_code_is_without_a_name", no_code_is_without_a_name},
    CU_TEST_INFO_NULL,
};
