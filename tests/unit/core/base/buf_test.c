#include "core/base/buf.h"

#include <CUnit/CUnit.h>

#include "core/base/mem.h"

static void takes_up_to_its_maximum_and_not_one_byte_more(void)
{
    static const size_t maxima[] = {1, 10, 255, 256, 257, 1000};
    char bytes[1001];
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < sizeof maxima / sizeof *maxima; i++) {
        for (int past = -1; past <= 1; past++) {
            struct buf buf;
            size_t len = maxima[i] + (size_t)past;
            buf_init(&buf, maxima[i]);
            buf_append(&buf, bytes, len);
            CU_ASSERT_EQUAL(buf.err, past > 0 ? ERR_FULL : ERR_OK);
            CU_ASSERT_EQUAL(buf.len, past > 0 ? 0 : len);
            CU_ASSERT_TRUE(buf.cap <= buf.max);
            buf_fini(&buf);
        }
    }
}

static void grows_byte_by_byte_with_all_contents(void)
{
    struct buf buf;
    buf_init(&buf, 5000);
    for (int i = 0; i < 5000; i++)
        buf_append_char(&buf, (char)(i % 251));
    CU_ASSERT_EQUAL(buf.err, ERR_OK);
    CU_ASSERT_EQUAL_FATAL(buf.len, 5000);
    for (int i = 0; i < 5000; i++)
        if (buf.ptr[i] != (char)(i % 251))
            CU_FAIL("contents changed while growing");
    buf_fini(&buf);
}

static void first_failure_sticks_and_keeps_what_was_there(void)
{
    struct buf buf;
    buf_init(&buf, 4);
    buf_append_str(&buf, "abc");
    buf_append_str(&buf, "de");
    CU_ASSERT_EQUAL(buf.err, ERR_FULL);
    buf_append_str(&buf, "f");
    buf_printf(&buf, "%d", 1);
    CU_ASSERT_EQUAL(buf_reserve(&buf, 0), ERR_FULL);
    CU_ASSERT_TRUE(slice_equals_str(buf_slice(&buf), "abc"));
    buf_fini(&buf);
}

static void no_memory_keeps_what_was_there(void)
{
    struct buf buf;
    char more[1000] = "";
    buf_init(&buf, 10000);
    buf_append_str(&buf, "abc");
    mem_fail_after(1);
    buf_append(&buf, more, sizeof more);
    CU_ASSERT_EQUAL(buf.err, ERR_NOMEM);
    mem_fail_after(0);
    buf_append_str(&buf, "d");
    CU_ASSERT_EQUAL(buf.err, ERR_NOMEM);
    CU_ASSERT_TRUE(slice_equals_str(buf_slice(&buf), "abc"));
    buf_fini(&buf);
}

static void clear_forgets_contents_and_error_but_keeps_memory(void)
{
    struct buf buf;
    buf_init(&buf, 3);
    buf_append_str(&buf, "abc");
    const char *memory = buf.ptr;
    buf_append_char(&buf, 'd');
    buf_clear(&buf);
    CU_ASSERT_EQUAL(buf.len, 0);
    CU_ASSERT_EQUAL(buf.err, ERR_OK);
    buf_append_str(&buf, "xyz");
    CU_ASSERT_PTR_EQUAL(buf.ptr, memory);
    CU_ASSERT_TRUE(slice_equals_str(buf_slice(&buf), "xyz"));
    buf_fini(&buf);
}

static void reserved_room_needs_no_memory_later(void)
{
    struct buf buf;
    char bytes[700] = "";
    buf_init(&buf, 1000);
    CU_ASSERT_EQUAL(buf_reserve(&buf, sizeof bytes), ERR_OK);
    mem_fail_after(1);
    buf_append(&buf, bytes, sizeof bytes);
    mem_fail_after(0);
    CU_ASSERT_EQUAL(buf.err, ERR_OK);
    CU_ASSERT_EQUAL(buf.len, sizeof bytes);
    buf_fini(&buf);
}

static void nothing_is_appended_without_memory_or_error(void)
{
    struct buf buf;
    buf_init(&buf, 10);
    buf_append(&buf, NULL, 0);
    buf_append_slice(&buf, SLICE_NONE);
    buf_append_str(&buf, "");
    CU_ASSERT_EQUAL(buf.err, ERR_OK);
    CU_ASSERT_PTR_NULL(buf.ptr);
    CU_ASSERT_PTR_NULL(buf_take(&buf));
    buf_fini(&buf);
}

static void take_hands_the_memory_over(void)
{
    struct buf buf;
    buf_init(&buf, 10);
    buf_append_str(&buf, "mine");
    char *taken = buf_take(&buf);
    CU_ASSERT_NSTRING_EQUAL(taken, "mine", 4);
    CU_ASSERT_EQUAL(buf.len, 0);
    buf_append_str(&buf, "0123456789");
    CU_ASSERT_EQUAL(buf.err, ERR_OK);
    mem_free(taken);
    buf_fini(&buf);
}

static void printf_takes_511_characters_and_refuses_512(void)
{
    struct buf buf;
    buf_init(&buf, 10000);
    buf_printf(&buf, "%*d", 511, 7);
    CU_ASSERT_EQUAL(buf.err, ERR_OK);
    CU_ASSERT_EQUAL(buf.len, 511);
    buf_printf(&buf, "%*d", 512, 7);
    CU_ASSERT_EQUAL(buf.err, ERR_FULL);
    CU_ASSERT_EQUAL(buf.len, 511);
    buf_fini(&buf);
}

CU_TestInfo buf_tests[] = {
    {"takes_up_to_its_maximum_and_not_one_byte_more",
     takes_up_to_its_maximum_and_not_one_byte_more},
    {"grows_byte_by_byte_with_all_contents", grows_byte_by_byte_with_all_contents},
    {"first_failure_sticks_and_keeps_what_was_there",
     first_failure_sticks_and_keeps_what_was_there},
    {"no_memory_keeps_what_was_there", no_memory_keeps_what_was_there},
    {"clear_forgets_contents_and_error_but_keeps_memory",
     clear_forgets_contents_and_error_but_keeps_memory},
    {"reserved_room_needs_no_memory_later", reserved_room_needs_no_memory_later},
    {"nothing_is_appended_without_memory_or_error", nothing_is_appended_without_memory_or_error},
    {"take_hands_the_memory_over", take_hands_the_memory_over},
    {"printf_takes_511_characters_and_refuses_512", printf_takes_511_characters_and_refuses_512},
    CU_TEST_INFO_NULL,
};
