#include "handlers/room_list.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "core/base/mem.h"

static void tell(struct room_list *list, const char *json)
{
    CU_ASSERT_EQUAL(room_list_add_told(list, slice_str(json)), ERR_OK);
}

static void expect_page(struct room_list *list, unsigned limit, const char *page)
{
    struct buf buf;
    buf_init(&buf, 4096);
    room_list_append_page(&buf, list, limit);
    if (!slice_equals_str(buf_slice(&buf), page))
        CU_FAIL(page);
    buf_fini(&buf);
}

static void members_of_one_room_are_added_up(void)
{
    struct room_list list;
    room_list_init(&list);
    tell(&list, "{\"b\":2,\"a\":1}");
    tell(&list, "{\"c\":5,\"b\":40}");
    tell(&list, "{}");
    expect_page(&list, 10,
                "\"rooms\":[{\"room\":\"a\",\"members\":1},{\"room\":\"b\",\"members\":42},"
                "{\"room\":\"c\",\"members\":5}],\"cursor\":null");
    room_list_fini(&list);
}

static void a_page_ends_at_its_limit(void)
{
    static const char *const pages[] = {
        NULL,
        "\"rooms\":[{\"room\":\"a\",\"members\":1}],\"cursor\":\"a\"",
        "\"rooms\":[{\"room\":\"a\",\"members\":1},{\"room\":\"a\\\"\",\"members\":2}],\"cursor\":"
        "\"a\\\"\"",
        "\"rooms\":[{\"room\":\"a\",\"members\":1},{\"room\":\"a\\\"\",\"members\":2},{\"room\":"
        "\"b\",\"members\":3}],\"cursor\":null",
    };
    for (unsigned limit = 1; limit <= 3; limit++) {
        struct room_list list;
        room_list_init(&list);
        tell(&list, "{\"b\":3,\"a\\\"\":2,\"a\":1}");
        expect_page(&list, limit, pages[limit]);
        room_list_fini(&list);
    }
}

static void an_empty_list_has_a_page(void)
{
    struct room_list list;
    room_list_init(&list);
    expect_page(&list, 1, "\"rooms\":[],\"cursor\":null");
    room_list_fini(&list);
}

static void what_is_no_room_is_left_out(void)
{
    struct room_list list;
    room_list_init(&list);
    tell(&list, "{\"a\":1,\"b\":\"2\",\"c\":-1,\"d\":1.5,\"\":3,\"e/f\":4,\"g\":1e3,"
                "\"h\":99999999999}");
    tell(&list, "[1,2]");
    tell(&list, "7");
    expect_page(&list, 10, "\"rooms\":[{\"room\":\"a\",\"members\":1}],\"cursor\":null");
    CU_ASSERT_EQUAL(room_list_add_told(&list, slice_str("{")), ERR_INVALID);
    CU_ASSERT_EQUAL(room_list_add_told(&list, slice_str("{\"a\":{\"b\":1}}")), ERR_INVALID);
    room_list_fini(&list);
}

static void what_is_told_is_read_again(void)
{
    struct room_list list, again;
    struct buf json;
    buf_init(&json, 4096);
    room_list_init(&list);
    room_list_init(&again);
    tell(&list, "{\"\\u0022\\\\\":1,\"\\u00fc\":2,\"%2F\":3}");
    room_list_append(&json, &list);
    CU_ASSERT_EQUAL(room_list_add_told(&again, buf_slice(&json)), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(again.count, 3);
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(hub_compare_names(&list.rows[i], &again.rows[i]), 0);
        CU_ASSERT_EQUAL(list.rows[i].members, again.rows[i].members);
    }
    room_list_fini(&list);
    room_list_fini(&again);
    buf_fini(&json);
}

static void without_memory_it_says_so(void)
{
    struct room_list list;
    room_list_init(&list);
    mem_fail_after(1);
    CU_ASSERT_EQUAL(room_list_add_told(&list, slice_str("{\"a\":1}")), ERR_NOMEM);
    mem_fail_after(0);
    CU_ASSERT_EQUAL(list.count, 0);
    room_list_fini(&list);
}

CU_TestInfo room_list_tests[] = {
    {"members_of_one_room_are_added_up", members_of_one_room_are_added_up},
    {"a_page_ends_at_its_limit", a_page_ends_at_its_limit},
    {"an_empty_list_has_a_page", an_empty_list_has_a_page},
    {"what_is_no_room_is_left_out", what_is_no_room_is_left_out},
    {"what_is_told_is_read_again", what_is_told_is_read_again},
    {"without_memory_it_says_so", without_memory_it_says_so},
    CU_TEST_INFO_NULL,
};
