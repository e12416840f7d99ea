#include "core/chat/json_read.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

enum { DEPTH = 8 };

/* Writes each value as `name=kind:raw;`. */
static void write_down(void *arg, struct slice name, const struct json_value *value)
{
    static const char kinds[] = {
        [JSON_IS_NULL] = 'z',   [JSON_IS_BOOLEAN] = 'b', [JSON_IS_NUMBER] = 'n',
        [JSON_IS_STRING] = 's', [JSON_IS_OBJECT] = 'o',  [JSON_IS_ARRAY] = 'a'};
    struct buf *out = arg;
    if (name.ptr != NULL) {
        buf_append_slice(out, name);
        buf_append_char(out, '=');
    }
    buf_append_char(out, kinds[value->kind]);
    buf_append_char(out, ':');
    buf_append_slice(out, value->raw);
    buf_append_char(out, ';');
}

static enum json_result read_text(const char *text, struct buf *out, enum json_kind *kind)
{
    /* A copy of its own, so that a sanitizer sees a read behind its end. */
    struct buf copy;
    buf_init(&copy, 1 << 20);
    buf_append_str(&copy, text);
    struct slice json = copy.len != 0 ? buf_slice(&copy) : slice_str("");
    enum json_result result = json_read(json, DEPTH, write_down, out, kind);
    buf_fini(&copy);
    return result;
}

static void values_are_told_with_their_bytes(void)
{
    static const struct {
        const char *text;
        enum json_kind kind;
        const char *told;
    } rows[] = {
        {"{}", JSON_IS_OBJECT, ""},
        {"[]", JSON_IS_ARRAY, ""},
        {" [ ] ", JSON_IS_ARRAY, ""},
        {"7", JSON_IS_NUMBER, ""},
        {"\"x\"", JSON_IS_STRING, ""},
        {"null", JSON_IS_NULL, ""},
        {"{\"a\":1}", JSON_IS_OBJECT, "a=n:1;"},
        {" {\n\"a\"\t:\r1.10 , \"b\" : \"x\" } ", JSON_IS_OBJECT, "a=n:1.10;b=s:\"x\";"},
        {"[1,2.50,-0,1e400]", JSON_IS_ARRAY, "n:1;n:2.50;n:-0;n:1e400;"},
        {"[ 1 , 2 ]", JSON_IS_ARRAY, "n:1;n:2;"},
        {"[true,false,null]", JSON_IS_ARRAY, "b:true;b:false;z:null;"},
        {"[[1,[2]],{\"a\":[3]},\"]\"]", JSON_IS_ARRAY, "a:[1,[2]];o:{\"a\":[3]};s:\"]\";"},
        {"{\"a\":{\"a\":{\"a\":1}},\"b\":[ {} , [] ]}", JSON_IS_OBJECT,
         "a=o:{\"a\":{\"a\":1}};b=a:[ {} , [] ];"},
        {"{\"a\":1,\"a\":2}", JSON_IS_OBJECT, "a=n:1;a=n:2;"},
        {"{\"\":1}", JSON_IS_OBJECT, "=n:1;"},
        {"{\"\\u0061\":\"\\u0062\"}", JSON_IS_OBJECT, "a=s:\"\\u0062\";"},
        {"[{},[],{}]", JSON_IS_ARRAY, "o:{};a:[];o:{};"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        enum json_kind kind;
        buf_init(&out, 4096);
        CU_ASSERT_EQUAL(read_text(rows[i].text, &out, &kind), JSON_OK);
        struct slice told = out.len != 0 ? buf_slice(&out) : slice_str("");
        if (kind != rows[i].kind || !slice_equals_str(told, rows[i].told))
            CU_FAIL(rows[i].text);
        buf_fini(&out);
    }
}

static void what_is_no_json_is_refused(void)
{
    static const char *const rows[] = {
        "",         " ",         "{",
        "[",        "[1",        "[1,]",
        "[,1]",     "[1 2]",     "{\"a\"}",
        "{\"a\":}", "{a:1}",     "[1]x",
        "[1][2]",   "[\v1]",     "[1\f]",
        "tru",      "[01]",      "[1.]",
        "[\"\n\"]", "[\"\\x\"]", "[\"\\u12\"]",
        "'a'",      "[1]]",      "{\"a\":1,}",
        "[NaN]",    "{}\"",      "[1] \"x",
        "[]\"a\"",  "{}{",       "[]tru",
        "{} [",     "[+1]",      "[\"",
        "//",       "[1]/**/",   "\xEF\xBB\xBF[]",
        "1 2",      "null x",    "-",
        "[-]",      "[1e]",      "[1e+]",
        "[.5]",     "[1.e3]",    "[nul]",
        "[falsey]", "{,}",       "{\"a\":1 \"b\":2}",
        "[}",       "{]",        "[{\"a\":[}]}",
        "[\"\\",    "[\"\\\"",   "[\"\\u123g\"]",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        enum json_kind kind;
        buf_init(&out, 4096);
        if (read_text(rows[i], &out, &kind) != JSON_MALFORMED)
            CU_FAIL(rows[i]);
        buf_fini(&out);
    }
}

/* What stands for itself is looked at eight octets at a time, so each place in them counts. */
static void every_octet_of_a_string_is_looked_at(void)
{
    enum { LONGEST = 20 };
    for (int len = 1; len <= LONGEST; len++) {
        for (int at = 0; at < len; at++) {
            for (int octet = 0; octet < 0x80; octet++) {
                char text[LONGEST + 5] = "[\"";
                struct buf out;
                enum json_kind kind;
                memset(text + 2, 'x', (size_t)len);
                memcpy(text + 2 + len, "\"]", 3);
                text[2 + at] = (char)octet;
                bool plain = octet >= 0x20 && octet != '"' && octet != '\\';
                buf_init(&out, 256);
                enum json_result result =
                    json_read(slice_of(text, (size_t)len + 4), DEPTH, write_down, &out, &kind);
                if (result != (plain ? JSON_OK : JSON_MALFORMED))
                    CU_FAIL(text);
                buf_fini(&out);
            }
        }
    }
}

static void keep_text(void *arg, struct slice name, const struct json_value *value)
{
    (void)name;
    buf_append_slice(arg, value->text);
    buf_append_char(arg, ';');
}

static void escapes_are_decoded(void)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "\"\\/\b\f\n\r\t;"},
        {"[\"\\u0041\\u007f\\u0080\"]", "A\x7F\xC2\x80;"},
        {"[\"\\u07FF\\u0800\\uffff\"]", "\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF;"},
        {"[\"\\ud800\\udc00\"]", "\xF0\x90\x80\x80;"},
        {"[\"a\\uDBFF\\uDFFFz\"]", "a\xF4\x8F\xBF\xBFz;"},
        {"[\"\\ud83d\"]", "\xEF\xBF\xBD;"},
        {"[\"\\ud83dx\\ude00\"]", "\xEF\xBF\xBDx\xEF\xBF\xBD;"},
        {"[\"\\ud83d\\u0041\",\"\\n\"]", "\xEF\xBF\xBD"
                                         "A;\n;"},
        {"[\"plain\",\"\",7]", "plain;;;"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        enum json_kind kind;
        buf_init(&out, 256);
        struct slice json = slice_str(rows[i].json);
        CU_ASSERT_EQUAL(json_read(json, DEPTH, keep_text, &out, &kind), JSON_OK);
        if (!slice_equals_str(buf_slice(&out), rows[i].text))
            CU_FAIL(rows[i].json);
        buf_fini(&out);
    }
}

/* What is open stands in a word at first, and elsewhere from the 65th level on. */
static void brackets_must_fit_at_every_depth(void)
{
    enum { DEEPEST = 130 };
    for (size_t depth = 1; depth <= DEEPEST; depth++) {
        for (size_t wrong = 0; wrong <= depth; wrong++) {
            char text[2 * DEEPEST];
            struct buf out;
            enum json_kind kind;
            memset(text, '[', depth);
            memset(text + depth, ']', depth);
            if (wrong < depth)
                text[depth + wrong] = '}';
            buf_init(&out, 4096);
            enum json_result result =
                json_read(slice_of(text, 2 * depth), DEEPEST, write_down, &out, &kind);
            CU_ASSERT_EQUAL(result, wrong == depth ? JSON_OK : JSON_MALFORMED);
            buf_fini(&out);
        }
    }
}

static void depth_is_bounded(void)
{
    for (int depth = DEPTH - 1; depth <= DEPTH + 1; depth++) {
        char text[2 * (DEPTH + 1) + 1] = "";
        struct buf out;
        enum json_kind kind;
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        buf_init(&out, 4096);
        CU_ASSERT_EQUAL(read_text(text, &out, &kind), depth <= DEPTH ? JSON_OK : JSON_TOO_DEEP);
        buf_fini(&out);
    }
}

static void assert_name_is_bounded(const char *first)
{
    for (int len = JSON_NAME_MAX - 1; len <= JSON_NAME_MAX + 1; len++) {
        struct buf text, out;
        enum json_kind kind;
        buf_init(&text, 4096);
        buf_init(&out, 4096);
        buf_printf(&text, "{\"%s%0*d\":1,\"b\":2}", first, len - 1, 0);
        buf_append_char(&text, '\0');
        CU_ASSERT_EQUAL(read_text(text.ptr, &out, &kind), JSON_OK);
        bool told = memmem(out.ptr, out.len, "n:1;", 4) != NULL;
        CU_ASSERT_EQUAL(told, len <= JSON_NAME_MAX);
        CU_ASSERT_PTR_NOT_NULL(memmem(out.ptr, out.len, "b=n:2;", 6));
        buf_fini(&text);
        buf_fini(&out);
    }
}

static void long_names_are_not_told(void)
{
    assert_name_is_bounded("a");
    assert_name_is_bounded("\\u0061"); /* what counts is what it means */
}

/* The text as often as it takes until all its requests for memory are granted. */
static void assert_starves(struct slice text, unsigned depth, enum json_result at_last)
{
    enum json_result result = JSON_NO_MEMORY;
    unsigned nth = 0;
    while (result == JSON_NO_MEMORY && nth < 1000) {
        struct buf out;
        enum json_kind kind;
        buf_init(&out, 1 << 20);
        buf_reserve(&out, 1 << 17);
        mem_fail_after(++nth);
        result = json_read(text, depth, write_down, &out, &kind);
        mem_fail_after(0);
        buf_fini(&out);
    }
    CU_ASSERT_EQUAL(result, at_last);
    CU_ASSERT_TRUE(nth > 1);
}

static void memory_that_runs_out_is_told(void)
{
    enum { LEN = 20000 };
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_append_str(&text, "{\"\\n\":\"\\n");
    for (int i = 0; i < LEN; i++)
        buf_append_char(&text, 'x');
    buf_append_str(&text, "\"");
    assert_starves(buf_slice(&text), DEPTH, JSON_MALFORMED); /* an object without an end */
    buf_append_str(&text, "}");
    assert_starves(buf_slice(&text), DEPTH, JSON_OK);
    buf_clear(&text);
    for (int i = 0; i < LEN; i++)
        buf_append_char(&text, '[');
    assert_starves(buf_slice(&text), LEN, JSON_MALFORMED);
    buf_fini(&text);
}

static void text_without_escapes_needs_no_memory(void)
{
    static const char text[] = "{\"id\":\"x\",\"data\":{\"a\":[1,2,{\"b\":null}]},\"room\":\"y\"}";
    struct buf out;
    enum json_kind kind;
    buf_init(&out, 256);
    buf_reserve(&out, 256);
    mem_fail_after(0);
    CU_ASSERT_EQUAL(json_read(slice_str(text), DEPTH, write_down, &out, &kind), JSON_OK);
    CU_ASSERT_EQUAL(mem_fail_after(0), 0);
    buf_fini(&out);
}

static void half_pairs_are_found(void)
{
    static const struct {
        const char *json;
        bool lone;
    } rows[] = {
        {"\"\"", false},          {"\"\\ud83d\\ude00\"", false}, {"\"\\ud83d\"", true},
        {"\"\\ude00\"", true},    {"\"\\ud83dx\"", true},        {"\"\\ud83d\\u0041\"", true},
        {"\"\\\\ud83d\"", false}, {"\"\\uD7FF\\uE000\"", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (json_has_lone_surrogate(slice_str(rows[i].json)) != rows[i].lone)
            CU_FAIL(rows[i].json);
}

CU_TestInfo json_read_tests[] = {
    {"values_are_told_with_their_bytes", values_are_told_with_their_bytes},
    {"what_is_no_json_is_refused", what_is_no_json_is_refused},
    {"every_octet_of_a_string_is_looked_at", every_octet_of_a_string_is_looked_at},
    {"escapes_are_decoded", escapes_are_decoded},
    {"brackets_must_fit_at_every_depth", brackets_must_fit_at_every_depth},
    {"depth_is_bounded", depth_is_bounded},
    {"long_names_are_not_told", long_names_are_not_told},
    {"memory_that_runs_out_is_told", memory_that_runs_out_is_told},
    {"text_without_escapes_needs_no_memory", text_without_escapes_needs_no_memory},
    {"half_pairs_are_found", half_pairs_are_found},
    CU_TEST_INFO_NULL,
};
