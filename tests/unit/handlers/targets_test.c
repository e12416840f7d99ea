#include "handlers/targets.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

static void names_become_rooms_each_once(void)
{
    struct targets targets;
    targets_init(&targets);
    struct fault fault =
        targets_add_rooms(&targets, slice_str("[\"a\", \"b\",\"a\",\"\\u0063\",\"user:x\"]"));
    CU_ASSERT_EQUAL(fault.code, FAULT_NONE);
    fault = targets_add_users(&targets, slice_str("[\"x\",\"a\"]"));
    CU_ASSERT_EQUAL(fault.code, FAULT_NONE);
    static const char *const expected[] = {"a", "b", "c", "user:x", "user:a"};
    CU_ASSERT_EQUAL_FATAL(targets.count, 5);
    for (size_t i = 0; i < 5; i++)
        CU_ASSERT_TRUE(slice_equals_str(targets_at(&targets, i), expected[i]));
    targets_clear(&targets);
    CU_ASSERT_EQUAL(targets.count, 0);
    fault = targets_add_rooms(&targets, slice_str("[\"a\"]"));
    CU_ASSERT_EQUAL(fault.code, FAULT_NONE);
    CU_ASSERT_EQUAL(targets.count, 1);
    targets_fini(&targets);
}

static void what_is_no_list_of_names_is_refused(void)
{
    static const struct {
        const char *json;
        enum fault_code code;
    } rows[] = {
        {"[]", FAULT_NONE},
        {"{}", FAULT_INVALID_PAYLOAD},
        {"{\"a\":\"b\"}", FAULT_INVALID_PAYLOAD},
        {"\"a\"", FAULT_INVALID_PAYLOAD},
        {"null", FAULT_INVALID_PAYLOAD},
        {"[1]", FAULT_INVALID_PAYLOAD},
        {"[null]", FAULT_INVALID_PAYLOAD},
        {"[\"a\",[\"b\"]]", FAULT_INVALID_PAYLOAD},
        {"[[[\"b\"]]]", FAULT_INVALID_PAYLOAD},
        {"[{\"a\":\"b\"}]", FAULT_INVALID_PAYLOAD},
        {"[\"\"]", FAULT_CHANNEL_ERROR},
        {"[\"a/b\"]", FAULT_CHANNEL_ERROR},
        {"[\"a\\u0000\"]", FAULT_CHANNEL_ERROR},
        {"[\"a\",\"b\\n\"]", FAULT_CHANNEL_ERROR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct targets targets;
        targets_init(&targets);
        struct fault rooms = targets_add_rooms(&targets, slice_str(rows[i].json));
        struct fault users = targets_add_users(&targets, slice_str(rows[i].json));
        if (rooms.code != rows[i].code || users.code != rows[i].code)
            CU_FAIL(rows[i].json);
        if (rows[i].code != FAULT_NONE) {
            CU_ASSERT_STRING_EQUAL(rooms.field, "rooms");
            CU_ASSERT_STRING_EQUAL(users.field, "users");
        }
        targets_fini(&targets);
    }
}

/* A user's room has at most the bytes that rooms have. */
static void names_are_as_long_as_they_may_be(void)
{
    for (int len = 120; len <= ROOM_NAME_MAX + 1; len++) {
        struct targets targets;
        struct buf json;
        buf_init(&json, 4096);
        buf_printf(&json, "[\"%0*d\"]", len, 0);
        targets_init(&targets);
        struct fault rooms = targets_add_rooms(&targets, buf_slice(&json));
        struct fault users = targets_add_users(&targets, buf_slice(&json));
        CU_ASSERT_EQUAL(rooms.code, len <= ROOM_NAME_MAX ? FAULT_NONE : FAULT_CHANNEL_ERROR);
        CU_ASSERT_EQUAL(users.code, len <= TARGETS_USER_MAX ? FAULT_NONE : FAULT_CHANNEL_ERROR);
        targets_fini(&targets);
        buf_fini(&json);
    }
}

static void append_names(struct buf *json, size_t count)
{
    buf_append_char(json, '[');
    for (size_t i = 0; i < count; i++)
        buf_printf(json, "%s\"%zu\"", i == 0 ? "" : ",", i);
    buf_append_char(json, ']');
}

static void each_list_has_its_bound(void)
{
    for (size_t count = TARGETS_EACH_MAX - 1; count <= TARGETS_EACH_MAX + 1; count++) {
        struct targets targets;
        struct buf json;
        buf_init(&json, 65536);
        append_names(&json, count);
        targets_init(&targets);
        struct fault rooms = targets_add_rooms(&targets, buf_slice(&json));
        struct fault users = targets_add_users(&targets, buf_slice(&json));
        CU_ASSERT_EQUAL(rooms.code, count <= TARGETS_EACH_MAX ? FAULT_NONE : FAULT_INVALID_PAYLOAD);
        CU_ASSERT_EQUAL(users.code, rooms.code);
        targets_fini(&targets);
        buf_fini(&json);
    }
}

static void without_memory_it_says_so(void)
{
    struct targets targets;
    targets_init(&targets);
    mem_fail_after(1);
    struct fault fault = targets_add_rooms(&targets, slice_str("[\"a\"]"));
    mem_fail_after(0);
    CU_ASSERT_EQUAL(fault.code, FAULT_INTERNAL);
    CU_ASSERT_EQUAL(targets.count, 0);
    targets_fini(&targets);
}

CU_TestInfo targets_tests[] = {
    {"names_become_rooms_each_once", names_become_rooms_each_once},
    {"what_is_no_list_of_names_is_refused", what_is_no_list_of_names_is_refused},
    {"names_are_as_long_as_they_may_be", names_are_as_long_as_they_may_be},
    {"each_list_has_its_bound", each_list_has_its_bound},
    {"without_memory_it_says_so", without_memory_it_says_so},
    CU_TEST_INFO_NULL,
};
