#include "core/base/json.h"

#include <CUnit/CUnit.h>
#include <jansson.h>

#define REPLACEMENT "\xEF\xBF\xBD"

static void writes_as(struct slice text, const char *expected)
{
    struct buf buf;
    buf_init(&buf, 1000);
    json_append_string(&buf, text);
    CU_ASSERT_EQUAL(buf.err, ERR_OK);
    CU_ASSERT_TRUE(slice_equals_str(buf_slice(&buf), expected));
    buf_fini(&buf);
}

static void escapes_what_must_be_and_nothing_else(void)
{
    static const struct {
        const char *text, *json;
    } rows[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"\"\\/", "\"\\\"\\\\/\""},
        {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\""},
        {"é€😀", "\"é€😀\""},
        {"\xE2\x80\xA8", "\"\xE2\x80\xA8\""},
        {"a\"b\nc", "\"a\\\"b\\nc\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        writes_as(slice_str(rows[i].text), rows[i].json);
    writes_as(slice_of("\0", 1), "\"\\u0000\"");
    writes_as(SLICE_NONE, "\"\"");
}

/* Eight octets are looked at at once, so each place counts. */
static void every_place_of_a_text_is_looked_at(void)
{
    for (size_t len = 1; len <= 20; len++) {
        for (size_t at = 0; at < len; at++) {
            struct buf text, json;
            buf_init(&text, 100);
            buf_init(&json, 100);
            buf_append_char(&json, '"');
            for (size_t i = 0; i < len; i++) {
                buf_append_str(&text, i == at ? "\n" : "x");
                buf_append_str(&json, i == at ? "\\n" : "x");
            }
            buf_append_char(&json, '"');
            buf_append_char(&json, '\0');
            writes_as(buf_slice(&text), json.ptr);
            buf_fini(&text);
            buf_fini(&json);
        }
    }
}

static void replaces_octets_that_are_no_utf8(void)
{
    static const struct {
        const char *text, *json;
    } rows[] = {
        {"\xFF", "\"" REPLACEMENT "\""},
        {"a\x80z", "\"a" REPLACEMENT "z\""},
        {"\xC3", "\"" REPLACEMENT "\""},
        {"\xC3\"", "\"" REPLACEMENT "\\\"\""},
        {"\xE2\x82", "\"" REPLACEMENT REPLACEMENT "\""},
        {"\xED\xA0\x80", "\"" REPLACEMENT REPLACEMENT REPLACEMENT "\""},
        {"\xC0\xAF", "\"" REPLACEMENT REPLACEMENT "\""},
        {"\xE2\x82\xAC\xFF\xC3\xA9", "\"€" REPLACEMENT "é\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        writes_as(slice_str(rows[i].text), rows[i].json);
}

static void every_octet_is_read_back(void)
{
    for (int first = 0; first < 256; first++) {
        for (int second = 0; second < 256; second++) {
            char text[] = {'x', (char)first, (char)second, 'y'};
            struct buf buf;
            buf_init(&buf, 100);
            json_append_string(&buf, slice_of(text, sizeof text));
            json_t *read = json_loadb(buf.ptr, buf.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
            struct slice value = slice_of(json_string_value(read), json_string_length(read));
            bool is_ascii = first < 0x80 && second < 0x80;
            CU_ASSERT_TRUE(json_is_string(read));
            if (is_ascii && !slice_equals(value, slice_of(text, sizeof text)))
                CU_FAIL("read back as something else");
            json_decref(read);
            buf_fini(&buf);
        }
    }
}

static void a_full_buffer_says_so(void)
{
    for (size_t max = 0; max <= 5; max++) {
        struct buf buf;
        buf_init(&buf, max);
        json_append_string(&buf, slice_str("a\n"));
        CU_ASSERT_EQUAL(buf.err, max < 5 ? ERR_FULL : ERR_OK);
        buf_fini(&buf);
    }
}

CU_TestInfo json_tests[] = {
    {"escapes_what_must_be_and_nothing_else", escapes_what_must_be_and_nothing_else},
    {"every_place_of_a_text_is_looked_at", every_place_of_a_text_is_looked_at},
    {"replaces_octets_that_are_no_utf8", replaces_octets_that_are_no_utf8},
    {"every_octet_is_read_back", every_octet_is_read_back},
    {"a_full_buffer_says_so", a_full_buffer_says_so},
    CU_TEST_INFO_NULL,
};
