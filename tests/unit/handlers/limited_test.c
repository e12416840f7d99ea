#include "handlers/limited.h"

#include <CUnit/CUnit.h>

#include "core/limit/limit.h"

static void tells_class_limit_and_time(void)
{
    struct limit limit = {.count = 10, .period_ms = 60000};
    struct limited limited = {.class = "connects", .limit = &limit, .retry_after_ms = 5999};
    struct fault fault = {.code = FAULT_RATE_LIMITED, .message = "no"};
    struct fault_extra extras[LIMITED_EXTRAS];
    struct buf scratch, body;
    buf_init(&scratch, 1024);
    buf_init(&body, 1024);
    limited_extras(&limited, &scratch, extras);
    fault_append_json(&body, &fault, extras, LIMITED_EXTRAS);
    CU_ASSERT_TRUE(slice_equals_str(
        buf_slice(&body), "{\"status\":\"error\",\"code\":\"RATE_LIMITED\",\"message\":\"no\","
                          "\"data\":{\"class\":\"connects\",\"limit\":\"10/1m\","
                          "\"retry_after_ms\":5999}}"));
    buf_fini(&scratch);
    buf_fini(&body);
}

static void without_room_there_are_none(void)
{
    struct limit limit = {.count = 10, .period_ms = 60000};
    struct limited limited = {.class = "connects", .limit = &limit, .retry_after_ms = 5999};
    struct fault_extra extras[LIMITED_EXTRAS];
    struct buf scratch;
    buf_init(&scratch, 4);
    limited_extras(&limited, &scratch, extras);
    for (size_t i = 0; i < LIMITED_EXTRAS; i++)
        CU_ASSERT_PTR_NULL(extras[i].json.ptr);
    buf_fini(&scratch);
}

CU_TestInfo limited_tests[] = {
    {"tells_class_limit_and_time", tells_class_limit_and_time},
    {"without_room_there_are_none", without_room_there_are_none},
    CU_TEST_INFO_NULL,
};
