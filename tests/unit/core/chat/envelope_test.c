#include "core/chat/envelope.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "tests/support/envelope.h"

#define ID "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"

static bool is_taken(const char *json)
{
    struct envelope envelope;
    return envelope_fault_of(slice_str(json), ENVELOPE_OF_CLIENT, &envelope).code == FAULT_NONE;
}

static bool text_is(const struct envelope_text *text, const char *expected)
{
    return slice_equals_str(slice_of(text->bytes, text->len), expected);
}

/* --- the text as a whole --- */

static void only_one_whole_object_is_a_message(void)
{
    static const struct {
        const char *json;
        bool is_good;
    } rows[] = {
        {"{}", true},
        {"{}\"", false},
        {"{} \"x", false},
        {" \t\r\n{ } \n", true},
        {"{\"data\":{}}", true},
        {"{\"unknown\":[1,{\"id\":5}],\"Type\":0,\"\":null}", true},
        {"", false},
        {" ", false},
        {"null", false},
        {"true", false},
        {"1", false},
        {"\"text\"", false},
        {"[]", false},
        {"[{}]", false},
        {"{", false},
        {"{}}", false},
        {"{}{}", false},
        {"{} x", false},
        {"{}, ", false},
        {"{\"data\":1,}", false},
        {"{\"data\"}", false},
        {"{\"data\":}", false},
        {"{data:1}", false},
        {"{'data':1}", false},
        {"{\"data\":01}", false},
        {"{\"data\":+1}", false},
        {"{\"data\":1.}", false},
        {"{\"data\":.5}", false},
        {"{\"data\":1e}", false},
        {"{\"data\":-}", false},
        {"{\"data\":NaN}", false},
        {"{\"data\":Infinity}", false},
        {"{\"data\":tru}", false},
        {"{\"data\":True}", false},
        {"{\"data\":\"a\nb\"}", false},
        {"{\"data\":\"a\tb\"}", false},
        {"{\"data\":\"\x1F\"}", false},
        {"{\"data\":\"\\x\"}", false},
        {"{\"data\":\"\\u12\"}", false},
        {"{\"data\":\"\\u12G4\"}", false},
        {"{\"data\":\"open}", false},
        {"{/* c */}", false},
        {"{} // c", false},
        {"{\v}", false}, /* which yajl would take for white space */
        {"\f{}", false},
        {"{}\v", false},
        {"{\"data\":\f1}", false},
        {"{\"data\":[1,\v2]}", false},
        {"{\"data\":\"\v\"}", false},
        {"{\"data\":\"\f\"}", false},
        {"{\"data\":\"\x7F\"}", true},
        {"{\"data\":\"\xC2\x85\"}", true},
        {"{\"data\":\xC2\xA0 1}", false},
        {"\xEF\xBB\xBF{}", false}, /* a byte order mark */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_taken(rows[i].json) != rows[i].is_good)
            CU_FAIL(rows[i].json);
}

static void a_nul_octet_is_no_white_space(void)
{
    struct envelope envelope;
    CU_ASSERT_NOT_EQUAL(envelope_fault_of(slice_of("{}\0", 3), ENVELOPE_OF_CLIENT, &envelope).code,
                        FAULT_NONE);
    CU_ASSERT_NOT_EQUAL(
        envelope_fault_of(slice_of("{\"a\":\"\0\"}", 9), ENVELOPE_OF_CLIENT, &envelope).code,
        FAULT_NONE);
}

/* The text is whole at its last byte only. */
static void a_text_that_is_cut_is_no_message(void)
{
    static const char json[] = "{\"id\":\"" ID "\",\"type\":\"chat\",\"data\":[1,\"\\u00e4\",{}]}";
    struct envelope envelope;
    for (size_t len = 0; len < sizeof json - 1; len++) {
        /* In memory of its own, so that a sanitizer sees a read behind it. */
        char *copy = mem_try_alloc(len);
        memcpy(copy, json, len);
        CU_ASSERT_EQUAL(envelope_fault_of(slice_of(copy, len), ENVELOPE_OF_CLIENT, &envelope).code,
                        FAULT_INVALID_PAYLOAD);
        mem_free(copy);
    }
    CU_ASSERT_TRUE(is_taken(json));
}

static void nested(struct buf *buf, unsigned levels, const char *open, const char *close)
{
    buf_clear(buf);
    buf_append_str(buf, "{\"data\":");
    for (unsigned i = 1; i < levels; i++)
        buf_append_str(buf, open);
    if (*open == '{')
        buf_append_str(buf, "0");
    for (unsigned i = 1; i < levels; i++)
        buf_append_str(buf, close);
    buf_append_str(buf, "}");
    buf_append_char(buf, '\0');
}

static void sixty_four_levels_are_allowed(void)
{
    struct buf buf;
    buf_init(&buf, 1 << 20);
    for (unsigned levels = 2; levels <= 1000; levels = levels < 66 ? levels + 1 : levels * 3) {
        nested(&buf, levels, "[", "]");
        CU_ASSERT_EQUAL(is_taken(buf.ptr), levels <= ENVELOPE_DEPTH_MAX);
        nested(&buf, levels, "{\"a\":", "}");
        CU_ASSERT_EQUAL(is_taken(buf.ptr), levels <= ENVELOPE_DEPTH_MAX);
    }
    struct envelope envelope;
    nested(&buf, 65, "[", "]");
    CU_ASSERT_PTR_NOT_NULL(
        strstr(envelope_fault_of(slice_str(buf.ptr), ENVELOPE_OF_CLIENT, &envelope).message, "64"));
    buf_fini(&buf);
}

static void half_a_surrogate_pair_is_refused_anywhere(void)
{
    static const struct {
        const char *text;
        bool is_good;
    } rows[] = {
        {"\\ud83d\\ude00", true},
        {"\\uD83D\\uDE00", true},
        {"\\uDBFF\\uDFFF", true},
        {"a\\ud83d\\ude00\\ud83d\\ude00b", true},
        {"\\ud7ff\\ue000", true},
        {"\\\\ud83d", true},
        {"\\\\\\\\udc00", true},
        {"\\u005cud83d", true},
        {"\\u0000", true},
        {"\\ud83d", false},
        {"\\udbff", false},
        {"\\ude00", false},
        {"\\udc00", false},
        {"\\ude00\\ud83d", false},
        {"\\ud83dx\\ude00", false},
        {"\\ud83d\\u0041", false},
        {"\\ud83d\\\\ude00", false},
        {"\\ud83d\\n\\ude00", false},
        {"\\ud83d\\ud83d\\ude00", false},
        {"\\ud83d\\ude00\\ude00", false},
        {"\\ud83d\\ue000", false},
        {"\\\\\\ud83d", false},
    };
    static const char *const places[] = {"{\"data\":\"%s\"}", "{\"data\":[[\"%s\"]]}",
                                         "{\"data\":{\"%s\":1}}", "{\"other\":\"%s\"}",
                                         "{\"%s\":0}"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t j = 0; j < sizeof places / sizeof *places; j++) {
            char json[128];
            const char *hole = strstr(places[j], "%s");
            (void)snprintf(json, sizeof json, "%.*s%s%s", (int)(hole - places[j]), places[j],
                           rows[i].text, hole + 2);
            if (is_taken(json) != rows[i].is_good)
                CU_FAIL(json);
        }
    }
}

/* --- each member --- */

/* `field` NULL: good. */
static void members_are_judged(void)
{
    static const struct {
        const char *json, *field;
    } rows[] = {
        {"{\"id\":\"" ID "\"}", NULL},
        {"{\"id\":\"0190A1B2-C3D4-4E5F-8A9B-0C1D2E3F4A5B\"}", NULL},
        {"{\"id\":\"00000000-0000-0000-0000-000000000000\"}", NULL},
        {"{\"id\":\"" ID "0\"}", "id"},
        {"{\"id\":\"\"}", "id"},
        {"{\"id\":\"1\"}", "id"},
        {"{\"id\":1}", "id"},
        {"{\"id\":null}", "id"},
        {"{\"id\":{}}", "id"},
        {"{\"id\":[\"" ID "\"]}", "id"},
        {"{\"type\":\"chat\"}", NULL},
        {"{\"type\":\"presence\"}", NULL},
        {"{\"type\":\"notification\"}", NULL},
        {"{\"type\":\"system\"}", NULL},
        {"{\"type\":\"ch\\u0061t\"}", NULL},
        {"{\"type\":\"Chat\"}", "type"},
        {"{\"type\":\"\"}", "type"},
        {"{\"type\":\"chat \"}", "type"},
        {"{\"type\":\"chat\\u0000\"}", "type"},
        {"{\"type\":null}", "type"},
        {"{\"type\":1}", "type"},
        {"{\"type\":[\"chat\"]}", "type"},
        {"{\"event\":\"message:sent\"}", NULL},
        {"{\"event\":\"a:b\"}", NULL},
        {"{\"event\":\"A-1.x_:9\"}", NULL},
        {"{\"event\":\"a\"}", "event"},
        {"{\"event\":\":\"}", "event"},
        {"{\"event\":\"a:\"}", "event"},
        {"{\"event\":\":b\"}", "event"},
        {"{\"event\":\"a:b:c\"}", "event"},
        {"{\"event\":\"a::b\"}", "event"},
        {"{\"event\":\"a b:c\"}", "event"},
        {"{\"event\":\"a:b\\n\"}", "event"},
        {"{\"event\":\"\\u00e4:b\"}", "event"},
        {"{\"event\":\"\"}", "event"},
        {"{\"event\":null}", "event"},
        {"{\"event\":5}", "event"},
        {"{\"room\":\"lobby\"}", NULL},
        {"{\"room\":\"\"}", NULL},
        {"{\"room\":null}", NULL},
        {"{\"room\":\"gr\\u00fc\\u00dfe \\ud83d\\ude00\"}", NULL},
        {"{\"room\":\"a/b\"}", "room"},
        {"{\"room\":\"a\\/b\"}", "room"},
        {"{\"room\":\"a\\nb\"}", "room"},
        {"{\"room\":\"a\\u0000\"}", "room"},
        {"{\"room\":\"\\u0085\"}", "room"},
        {"{\"room\":false}", "room"},
        {"{\"room\":7}", "room"},
        {"{\"room\":[]}", "room"},
        {"{\"room\":{}}", "room"},
        {"{\"from\":1,\"timestamp\":[]}", NULL}, /* ignored, whatever they are */
        {"{\"ref\":\"r\"}", NULL},
        {"{\"ref\":{\"any\":[1]}}", "ref"},
        {"{\"ref\":1}", "ref"},
        {"{\"ref\":null}", "ref"},
        {"{\"ref\":\"\"}", "ref"},
        {"{\"data\":null}", NULL},
        {"{\"data\":{\"id\":1,\"type\":\"x\",\"room\":3}}", NULL},
        {"{\"data\":[{\"type\":1}]}", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct envelope envelope;
        struct fault fault =
            envelope_fault_of(slice_str(rows[i].json), ENVELOPE_OF_CLIENT, &envelope);
        bool is_room = rows[i].field != NULL && strstr(rows[i].json, "\"room\":\"") != NULL;
        enum fault_code code = rows[i].field == NULL ? FAULT_NONE
                               : is_room             ? FAULT_CHANNEL_ERROR
                                                     : FAULT_INVALID_PAYLOAD;
        if (fault.code != code || (code != FAULT_NONE && (fault.field == NULL ||
                                                          strcmp(fault.field, rows[i].field) != 0)))
            CU_FAIL(rows[i].json);
    }
}

static void texts_have_a_greatest_length(void)
{
    static const struct {
        const char *format;
        size_t max;
    } rows[] = {
        {"{\"room\":\"%.*s\"}", ROOM_NAME_MAX},
        {"{\"event\":\"%.*s:b\"}", 64},
        {"{\"event\":\"a:%.*s\"}", 64},
    };
    char many[200], json[256];
    memset(many, 'x', sizeof many);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t len = rows[i].max - 1; len <= rows[i].max + 1; len++) {
            const char *hole = strstr(rows[i].format, "%.*s");
            (void)snprintf(json, sizeof json, "%.*s%.*s%s", (int)(hole - rows[i].format),
                           rows[i].format, (int)len, many, hole + 4);
            CU_ASSERT_EQUAL(is_taken(json), len <= rows[i].max);
        }
    }
    (void)snprintf(json, sizeof json, "{\"event\":\"%.64s:%.64s\"}", many, many);
    CU_ASSERT_TRUE(is_taken(json));
}

static void the_room_says_where_a_message_goes(void)
{
    static const struct {
        const char *json;
        enum envelope_target target;
    } rows[] = {
        {"{}", ENVELOPE_OWN_ROOM},
        {"{\"room\":null}", ENVELOPE_GLOBAL},
        {"{\"room\":\"\"}", ENVELOPE_GLOBAL},
        {"{\"room\":\"b\\u0061r\"}", ENVELOPE_ROOM},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct envelope envelope;
        (void)envelope_fault_of(slice_str(rows[i].json), ENVELOPE_OF_CLIENT, &envelope);
        CU_ASSERT_EQUAL(envelope.target, rows[i].target);
        CU_ASSERT_TRUE(text_is(&envelope.room, i == 3 ? "bar" : ""));
    }
}

static void escapes_in_keys_count(void)
{
    struct envelope envelope;
    (void)envelope_fault_of(slice_str("{\"r\\u006fom\":\"a\",\"\\u0064ata\":1,\"data\\u0000\":2}"),
                            ENVELOPE_OF_CLIENT, &envelope);
    CU_ASSERT_TRUE(text_is(&envelope.room, "a"));
    CU_ASSERT_TRUE(slice_equals_str(envelope.data, "1"));
}

static void of_a_member_that_comes_twice_the_last_one_counts(void)
{
    struct envelope envelope;
    struct fault fault = envelope_fault_of(
        slice_str("{\"type\":\"chat\",\"room\":\"a\",\"data\":1,\"event\":\"a:b\",\"room\":\"bc\","
                  "\"type\":\"system\",\"data\":[2],\"event\":\"c:d\",\"room\":null,\"ref\":\"1\","
                  "\"ref\":\"2\"}"),
        ENVELOPE_OF_CLIENT, &envelope);
    CU_ASSERT_EQUAL(fault.code, FAULT_NONE);
    CU_ASSERT_EQUAL(envelope.type, ENVELOPE_SYSTEM);
    CU_ASSERT_EQUAL(envelope.target, ENVELOPE_GLOBAL);
    CU_ASSERT_TRUE(text_is(&envelope.event, "c:d"));
    CU_ASSERT_TRUE(slice_equals_str(envelope.data, "[2]"));
    CU_ASSERT_TRUE(slice_equals_str(envelope.raw_ref, "\"2\""));
}

/* Counted as decoded: escapes may make it six times as long, and it is repeated as it came. */
static void a_ref_has_64_bytes_at_most(void)
{
    for (int escaped = 0; escaped <= 1; escaped++) {
        for (int len = ENVELOPE_REF_MAX - 1; len <= ENVELOPE_REF_MAX + 1; len++) {
            struct envelope envelope;
            struct buf json;
            buf_init(&json, 1024);
            buf_append_str(&json, "{\"ref\":\"");
            for (int i = 0; i < len; i++)
                buf_append_str(&json, escaped ? "\\u0041" : "x");
            buf_append_str(&json, "\"}");
            struct fault fault = envelope_fault_of(buf_slice(&json), ENVELOPE_OF_CLIENT, &envelope);
            CU_ASSERT_EQUAL(fault.code,
                            len <= ENVELOPE_REF_MAX ? FAULT_NONE : FAULT_INVALID_PAYLOAD);
            CU_ASSERT_EQUAL(envelope.ref_given, len <= ENVELOPE_REF_MAX);
            if (len <= ENVELOPE_REF_MAX)
                CU_ASSERT_EQUAL(envelope.raw_ref.len, (size_t)len * (escaped ? 6 : 1) + 2);
            buf_fini(&json);
        }
    }
}

/* Whatever envelope_append wrote is read again, names with quotes and backslashes too. */
static void its_front_is_read_back(void)
{
    static const char *const names[] = {"lobby", "a\"b\\c", "\\", "\"", "h\303\251"};
    static const char *const events[] = {NULL, "message:send"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t event = 0; event < 2; event++) {
            struct envelope envelope;
            struct envelope_front front;
            struct buf buf;
            char in[64] = "{}";
            buf_init(&buf, 4096);
            if (events[event] != NULL)
                (void)snprintf(in, sizeof in, "{\"event\":\"%s\"}", events[event]);
            CU_ASSERT_EQUAL(envelope_fault_of(slice_str(in), ENVELOPE_OF_CLIENT, &envelope).code,
                            FAULT_NONE);
            struct slice room = i == 0 ? SLICE_NONE : slice_str(names[i]);
            envelope_stamp(&envelope);
            envelope_append(&buf, &envelope, room, slice_str(names[i]));
            CU_ASSERT_TRUE(envelope_read_front(buf_slice(&buf), &front));
            CU_ASSERT_TRUE(slice_equals(front.id, slice_of(envelope.id.bytes, UUID_TEXT_LEN)));
            CU_ASSERT_TRUE(slice_equals_str(front.type, "chat"));
            CU_ASSERT_TRUE(slice_equals_str(front.event, event == 0 ? "" : events[event]));
            CU_ASSERT_TRUE(text_is(&front.from, names[i]));
            CU_ASSERT_TRUE(slice_equals(
                front.timestamp, slice_of(envelope.timestamp.bytes, envelope.timestamp.len)));
            /* Cut anywhere before the timestamp it is none. */
            CU_ASSERT_TRUE(slice_equals_str(front.data, "{}"));
            for (size_t len = 0; len < buf.len - sizeof "2000-01-01T00:00:00.000Z\"}"; len++)
                CU_ASSERT_FALSE(envelope_read_front(slice_of(buf.ptr, len), &front));
            buf_fini(&buf);
        }
    }
}

static void data_is_the_very_bytes_that_came(void)
{
    static const char *const values[] = {
        "null",
        "true",
        "0",
        "-0",
        "1.10",
        "1e400",
        "-1.5E+09",
        "123456789012345678901234567890",
        "\"\"",
        "\"\\u0000 \\u00e4 \\/ \\ud83d\\ude00\"",
        "\"ä\xF0\x9F\x98\x80\"",
        "{}",
        "[]",
        "{ \"b\" : 1 ,\t\"a\":2,\n\"b\":3 }",
        "[ 1 , [ ] , { \"data\" : [ ] } ]",
    };
    static const char *const around[][2] = {{"{\"data\":", "}"},
                                            {"{\"data\" \t: \r\n ", " }"},
                                            {"{\"type\":\"chat\",\"data\":", ",\"room\":\"a\"}"},
                                            {"{\"x\":[{\"data\":5}],\"data\":", " \n,\"x\":6}"}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        for (size_t j = 0; j < sizeof around / sizeof *around; j++) {
            char json[256];
            struct envelope envelope;
            (void)snprintf(json, sizeof json, "%s%s%s", around[j][0], values[i], around[j][1]);
            CU_ASSERT_EQUAL(envelope_fault_of(slice_str(json), ENVELOPE_OF_CLIENT, &envelope).code,
                            FAULT_NONE);
            if (!slice_equals_str(envelope.data, values[i]))
                CU_FAIL(json);
        }
    }
}

CU_TestInfo envelope_tests[] = {
    {"only_one_whole_object_is_a_message", only_one_whole_object_is_a_message},
    {"a_nul_octet_is_no_white_space", a_nul_octet_is_no_white_space},
    {"a_text_that_is_cut_is_no_message", a_text_that_is_cut_is_no_message},
    {"a_ref_has_64_bytes_at_most", a_ref_has_64_bytes_at_most},
    {"its_front_is_read_back", its_front_is_read_back},
    {"sixty_four_levels_are_allowed", sixty_four_levels_are_allowed},
    {"half_a_surrogate_pair_is_refused_anywhere", half_a_surrogate_pair_is_refused_anywhere},
    {"members_are_judged", members_are_judged},
    {"texts_have_a_greatest_length", texts_have_a_greatest_length},
    {"the_room_says_where_a_message_goes", the_room_says_where_a_message_goes},
    {"escapes_in_keys_count", escapes_in_keys_count},
    {"of_a_member_that_comes_twice_the_last_one_counts",
     of_a_member_that_comes_twice_the_last_one_counts},
    {"data_is_the_very_bytes_that_came", data_is_the_very_bytes_that_came},
    CU_TEST_INFO_NULL,
};
