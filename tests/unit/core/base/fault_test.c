#include "core/base/fault.h"

#include <CUnit/CUnit.h>

static void reads(const struct fault *fault, const struct fault_extra *extras, size_t count,
                  const char *expected)
{
    struct buf buf;
    buf_init(&buf, 1000);
    fault_append_json(&buf, fault, extras, count);
    CU_ASSERT_EQUAL(buf.err, ERR_OK);
    CU_ASSERT_TRUE(slice_equals_str(buf_slice(&buf), expected));
    buf_fini(&buf);
}

static void data_is_left_out_where_there_is_none(void)
{
    const struct fault fault = {.code = FAULT_NOT_FOUND, .message = "no \"such\" path"};
    const struct fault_extra absent = {.name = "id", .json = SLICE_NONE};
    static const char body[] =
        "{\"status\":\"error\",\"code\":\"NOT_FOUND\",\"message\":\"no \\\"such\\\" path\"}";
    reads(&fault, NULL, 0, body);
    reads(&fault, &absent, 1, body);
}

static void the_field_is_in_data(void)
{
    const struct fault fault = {
        .code = FAULT_INVALID_PAYLOAD, .message = "type is unknown", .field = "type"};
    reads(&fault, NULL, 0,
          "{\"status\":\"error\",\"code\":\"INVALID_PAYLOAD\",\"message\":\"type is unknown\","
          "\"data\":{\"field\":\"type\"}}");
}

static void extras_are_repeated_as_they_came(void)
{
    const struct fault plain = {.code = FAULT_CHANNEL_ERROR, .message = "m"};
    const struct fault with_field = {.code = FAULT_CHANNEL_ERROR, .message = "m", .field = "room"};
    const struct fault_extra extras[] = {
        {"id", slice_str("\"\\u0041\"")}, {"none", SLICE_NONE}, {"ref", slice_str("1.10")}};
    reads(&plain, extras, 3,
          "{\"status\":\"error\",\"code\":\"CHANNEL_ERROR\",\"message\":\"m\","
          "\"data\":{\"id\":\"\\u0041\",\"ref\":1.10}}");
    reads(&with_field, extras, 3,
          "{\"status\":\"error\",\"code\":\"CHANNEL_ERROR\",\"message\":\"m\","
          "\"data\":{\"field\":\"room\",\"id\":\"\\u0041\",\"ref\":1.10}}");
}

CU_TestInfo fault_tests[] = {
    {"data_is_left_out_where_there_is_none", data_is_left_out_where_there_is_none},
    {"the_field_is_in_data", the_field_is_in_data},
    {"extras_are_repeated_as_they_came", extras_are_repeated_as_they_came},
    CU_TEST_INFO_NULL,
};
