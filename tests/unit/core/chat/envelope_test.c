#include "core/chat/envelope.h"

#include <CUnit/CUnit.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#define ID "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"

static struct fault fault_of(struct slice json, enum envelope_source source, struct envelope *out)
{
    struct fault fault = {.code = FAULT_INTERNAL};
    enum err err = envelope_parse(json, source, out, &fault);
    CU_ASSERT_EQUAL(err, fault.code == FAULT_NONE ? ERR_OK : ERR_INVALID);
    return fault;
}

static bool is_taken(const char *json)
{
    struct envelope envelope;
    return fault_of(slice_str(json), ENVELOPE_OF_CLIENT, &envelope).code == FAULT_NONE;
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
    CU_ASSERT_NOT_EQUAL(fault_of(slice_of("{}\0", 3), ENVELOPE_OF_CLIENT, &envelope).code,
                        FAULT_NONE);
    CU_ASSERT_NOT_EQUAL(fault_of(slice_of("{\"a\":\"\0\"}", 9), ENVELOPE_OF_CLIENT, &envelope).code,
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
        CU_ASSERT_EQUAL(fault_of(slice_of(copy, len), ENVELOPE_OF_CLIENT, &envelope).code,
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
        strstr(fault_of(slice_str(buf.ptr), ENVELOPE_OF_CLIENT, &envelope).message, "64"));
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
        struct fault fault = fault_of(slice_str(rows[i].json), ENVELOPE_OF_CLIENT, &envelope);
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
        (void)fault_of(slice_str(rows[i].json), ENVELOPE_OF_CLIENT, &envelope);
        CU_ASSERT_EQUAL(envelope.target, rows[i].target);
        CU_ASSERT_TRUE(text_is(&envelope.room, i == 3 ? "bar" : ""));
    }
}

static void escapes_in_keys_count(void)
{
    struct envelope envelope;
    (void)fault_of(slice_str("{\"r\\u006fom\":\"a\",\"\\u0064ata\":1,\"data\\u0000\":2}"),
                   ENVELOPE_OF_CLIENT, &envelope);
    CU_ASSERT_TRUE(text_is(&envelope.room, "a"));
    CU_ASSERT_TRUE(slice_equals_str(envelope.data, "1"));
}

static void of_a_member_that_comes_twice_the_last_one_counts(void)
{
    struct envelope envelope;
    struct fault fault = fault_of(
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
            struct fault fault = fault_of(buf_slice(&json), ENVELOPE_OF_CLIENT, &envelope);
            CU_ASSERT_EQUAL(fault.code,
                            len <= ENVELOPE_REF_MAX ? FAULT_NONE : FAULT_INVALID_PAYLOAD);
            CU_ASSERT_EQUAL(envelope.ref_given, len <= ENVELOPE_REF_MAX);
            if (len <= ENVELOPE_REF_MAX)
                CU_ASSERT_EQUAL(envelope.raw_ref.len, (size_t)len * (escaped ? 6 : 1) + 2);
            buf_fini(&json);
        }
    }
}

static json_t *read_json(const struct buf *buf);

static void a_reply_repeats_the_ref(void)
{
    static const char *const refs[] = {"\"r-1\"", "\"\\u0041\"", NULL};
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        char in[64] = "{}";
        struct envelope taken;
        struct buf buf;
        buf_init(&buf, 4096);
        if (refs[i] != NULL)
            (void)snprintf(in, sizeof in, "{\"ref\":%s}", refs[i]);
        CU_ASSERT_EQUAL(fault_of(slice_str(in), ENVELOPE_OF_CLIENT, &taken).code, FAULT_NONE);
        envelope_append_reply(&buf, &taken, slice_str(",\"n\":1"));
        json_t *json = read_json(&buf), *data = json_object_get(json, "data");
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "event")), "reply");
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "type")), "system");
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "from")), "server");
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(data, "status")), "ok");
        CU_ASSERT_EQUAL(json_integer_value(json_object_get(data, "n")), 1);
        CU_ASSERT_EQUAL(json_object_size(data), refs[i] != NULL ? 3 : 2);
        buf_append_char(&buf, '\0');
        if (refs[i] != NULL)
            CU_ASSERT_PTR_NOT_NULL(strstr(buf.ptr, refs[i]));
        json_decref(json);
        buf_fini(&buf);
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
            CU_ASSERT_EQUAL(fault_of(slice_str(in), ENVELOPE_OF_CLIENT, &envelope).code,
                            FAULT_NONE);
            struct slice room = i == 0 ? SLICE_NONE : slice_str(names[i]);
            envelope_stamp(&envelope);
            envelope_append(&buf, &envelope, room, slice_str(names[i]));
            CU_ASSERT_TRUE(envelope_read_front(buf_slice(&buf), &front));
            CU_ASSERT_TRUE(slice_equals(front.id, slice_of(envelope.id.bytes, UUID_TEXT_LEN)));
            CU_ASSERT_TRUE(slice_equals_str(front.type, "chat"));
            CU_ASSERT_TRUE(slice_equals_str(front.event, event == 0 ? "" : events[event]));
            CU_ASSERT_TRUE(text_is(&front.from, names[i]));
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
            CU_ASSERT_EQUAL(fault_of(slice_str(json), ENVELOPE_OF_CLIENT, &envelope).code,
                            FAULT_NONE);
            if (!slice_equals_str(envelope.data, values[i]))
                CU_FAIL(json);
        }
    }
}

/* --- of a program --- */

static void a_program_is_not_told_off(void)
{
    struct envelope envelope;
    struct fault fault = fault_of(
        slice_str("{\"id\":7,\"type\":\"x\",\"event\":\"no\",\"room\":\"a/b\",\"from\":\"\","
                  "\"timestamp\":\"yesterday\",\"data\":5}"),
        ENVELOPE_OF_PROGRAM, &envelope);
    CU_ASSERT_EQUAL(fault.code, FAULT_NONE);
    CU_ASSERT_EQUAL(envelope.type, ENVELOPE_CHAT);
    CU_ASSERT_EQUAL(envelope.id.len, 0);
    CU_ASSERT_EQUAL(envelope.event.len, 0);
    CU_ASSERT_EQUAL(envelope.from.len, 0);
    CU_ASSERT_EQUAL(envelope.timestamp.len, 0);
    CU_ASSERT_TRUE(slice_equals_str(envelope.data, "5"));
}

/* A bad one behind a good one is the last one, and is taken for absent. */
static void of_a_programs_members_too_the_last_one_counts(void)
{
    struct envelope envelope;
    (void)fault_of(slice_str("{\"id\":\"" ID "\",\"type\":\"system\",\"event\":\"a:b\",\"from\":"
                             "\"me\",\"timestamp\":\"2026-02-05T00:00:00Z\",\"id\":1,\"type\":1,"
                             "\"event\":1,\"from\":1,\"timestamp\":1}"),
                   ENVELOPE_OF_PROGRAM, &envelope);
    CU_ASSERT_EQUAL(envelope.type, ENVELOPE_CHAT);
    CU_ASSERT_EQUAL(envelope.id.len, 0);
    CU_ASSERT_EQUAL(envelope.event.len, 0);
    CU_ASSERT_EQUAL(envelope.from.len, 0);
    CU_ASSERT_EQUAL(envelope.timestamp.len, 0);
}

static void but_no_json_is_no_message_from_a_program_either(void)
{
    static const char *const texts[] = {"", "[]", "{", "1", "{\"data\":\"\\ud800\"}", "{}{}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct envelope envelope;
        CU_ASSERT_EQUAL(fault_of(slice_str(texts[i]), ENVELOPE_OF_PROGRAM, &envelope).code,
                        FAULT_INVALID_PAYLOAD);
    }
}

static void sender_and_time_are_kept_from_programs_only(void)
{
    static const char json[] =
        "{\"from\":\"b\\u006ft\",\"timestamp\":\"2026-02-05T00:00:00.123Z\"}";
    struct envelope envelope;
    (void)fault_of(slice_str(json), ENVELOPE_OF_PROGRAM, &envelope);
    CU_ASSERT_TRUE(text_is(&envelope.from, "bot"));
    CU_ASSERT_TRUE(text_is(&envelope.timestamp, "2026-02-05T00:00:00.123Z"));
    (void)fault_of(slice_str(json), ENVELOPE_OF_CLIENT, &envelope);
    CU_ASSERT_EQUAL(envelope.from.len, 0);
    CU_ASSERT_EQUAL(envelope.timestamp.len, 0);
}

static void a_programs_time_is_kept_when_it_is_one(void)
{
    static const struct {
        const char *text;
        bool is_good;
    } rows[] = {
        {"2026-02-05T00:00:00Z", true},
        {"2026-02-05T23:59:59.9Z", true},
        {"2026-02-05T00:00:00.12345678901234567890Z", false}, /* 41 characters */
        {"2026-02-05T00:00:00.1234567890123456789Z", true},
        {"2026-02-05T00:00:00.Z", false},
        {"2026-02-05T00:00:00", false},
        {"2026-02-05T00:00:00+00:00", false},
        {"2026-02-05 00:00:00Z", false},
        {"2026-02-05T00:00:00Zx", false},
        {"2026-2-5T00:00:00Z", false},
        {"x026-02-05T00:00:00Z", false},
        {"", false},
        {"Z", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[128];
        struct envelope envelope;
        (void)snprintf(json, sizeof json, "{\"timestamp\":\"%s\"}", rows[i].text);
        (void)fault_of(slice_str(json), ENVELOPE_OF_PROGRAM, &envelope);
        if ((envelope.timestamp.len != 0) != rows[i].is_good)
            CU_FAIL(rows[i].text);
    }
}

static void a_programs_name_has_at_most_128_bytes_and_no_controls(void)
{
    char many[ENVELOPE_FROM_MAX + 1], json[256];
    struct envelope envelope;
    memset(many, 'x', sizeof many);
    for (int len = ENVELOPE_FROM_MAX - 1; len <= ENVELOPE_FROM_MAX + 1; len++) {
        (void)snprintf(json, sizeof json, "{\"from\":\"%.*s\"}", len, many);
        (void)fault_of(slice_str(json), ENVELOPE_OF_PROGRAM, &envelope);
        CU_ASSERT_EQUAL((int)envelope.from.len, len <= ENVELOPE_FROM_MAX ? len : 0);
    }
    (void)fault_of(slice_str("{\"from\":\"a\\u0000\"}"), ENVELOPE_OF_PROGRAM, &envelope);
    CU_ASSERT_EQUAL(envelope.from.len, 0);
}

/* --- out --- */

static json_t *read_json(const struct buf *buf)
{
    CU_ASSERT_EQUAL(buf->err, ERR_OK);
    json_t *json = json_loadb(buf->ptr, buf->len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    return json;
}

static const char *text_in(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text != NULL ? text : "(none)";
}

static void append(struct buf *buf, const char *in, enum envelope_source source, const char *room)
{
    struct envelope envelope;
    CU_ASSERT_EQUAL(fault_of(slice_str(in), source, &envelope).code, FAULT_NONE);
    buf_clear(buf);
    envelope_append(buf, &envelope, room != NULL ? slice_str(room) : SLICE_NONE,
                    slice_str("the \"client\""));
}

static void what_is_absent_is_filled_in(void)
{
    struct buf buf;
    char now[CLOCK_RFC3339_SIZE];
    buf_init(&buf, 4096);
    append(&buf, "{\"from\":\"x\",\"timestamp\":\"2000-01-01T00:00:00Z\",\"more\":1,\"ref\":\"2\"}",
           ENVELOPE_OF_CLIENT, NULL);
    clock_format_rfc3339(clock_wall_ms(), now);
    json_t *json = read_json(&buf);
    CU_ASSERT_EQUAL(json_object_size(json), 5);
    CU_ASSERT_TRUE(uuid_is_valid(slice_str(text_in(json, "id"))));
    CU_ASSERT_EQUAL(text_in(json, "id")[14], '7');
    CU_ASSERT_STRING_EQUAL(text_in(json, "type"), "chat");
    CU_ASSERT_STRING_EQUAL(text_in(json, "from"), "the \"client\"");
    CU_ASSERT_EQUAL(strlen(text_in(json, "timestamp")), 24);
    CU_ASSERT_TRUE(strcmp(text_in(json, "timestamp"), now) <= 0);
    CU_ASSERT_TRUE(json_is_object(json_object_get(json, "data")));
    CU_ASSERT_EQUAL(json_object_size(json_object_get(json, "data")), 0);
    json_decref(json);
    buf_fini(&buf);
}

static void what_is_there_is_kept_in_the_contracts_order(void)
{
    struct buf buf;
    buf_init(&buf, 4096);
    append(
        &buf,
        "{\"timestamp\":\"2026-02-05T00:00:00.000Z\",\"data\":[1.10, 1e400],\"from\":\"b\\\"ot\","
        "\"event\":\"a:b\",\"type\":\"presence\",\"id\":\"" ID "\",\"room\":\"ignored here\"}",
        ENVELOPE_OF_PROGRAM, "a\"\\b");
    CU_ASSERT_TRUE(slice_equals_str(
        buf_slice(&buf),
        "{\"id\":\"" ID "\",\"type\":\"presence\",\"event\":\"a:b\",\"room\":\"a\\\"\\\\b\","
        "\"from\":\"b\\\"ot\",\"data\":[1.10, 1e400],\"timestamp\":\"2026-02-05T00:00:00.000Z\"}"));
    buf_fini(&buf);
}

/* Each type and each room that is allowed, written and read again. */
static void what_is_written_can_be_read(void)
{
    static const char *const types[] = {"chat", "presence", "notification", "system"};
    static const char *const rooms[] = {"a", "\"", "\\", "ü", "\xF0\x9F\x98\x80", "{}", "\\u0041"};
    struct buf buf;
    buf_init(&buf, 4096);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < sizeof rooms / sizeof *rooms; j++) {
            char in[128];
            struct envelope again;
            (void)snprintf(in, sizeof in, "{\"type\":\"%s\",\"data\":\"\\u0000\"}", types[i]);
            append(&buf, in, ENVELOPE_OF_CLIENT, rooms[j]);
            json_t *json = read_json(&buf);
            CU_ASSERT_STRING_EQUAL(text_in(json, "type"), types[i]);
            CU_ASSERT_STRING_EQUAL(text_in(json, "room"), rooms[j]);
            CU_ASSERT_EQUAL(fault_of(buf_slice(&buf), ENVELOPE_OF_CLIENT, &again).code, FAULT_NONE);
            CU_ASSERT_EQUAL(again.type, i);
            CU_ASSERT_TRUE(text_is(&again.room, rooms[j]));
            json_decref(json);
        }
    }
    buf_fini(&buf);
}

/* `id` and `ref` NULL: not repeated. */
static void an_error_repeats_id_and_ref(void)
{
    static const struct {
        const char *in, *id, *ref;
    } rows[] = {
        {"{\"type\":1}", NULL, NULL},
        {"{\"id\":\"" ID "\",\"type\":1}", "\"" ID "\"", NULL},
        {"{\"ref\":17,\"type\":1}", NULL, "17"},
        {"{\"id\":5,\"ref\":{\"a\" : [1]}}", "5", "{\"a\" : [1]}"},
        {"{\"id\":\"a\\u0000\\u00e4\"}", "\"a\\u0000\\u00e4\"", NULL},
        {"{\"id\":\"bad\",\"ref\":\"r\",,", "\"bad\"", "\"r\""}, /* up to where it breaks */
        {"{\"type\":1,\"id\":\"late\"}", "\"late\"", NULL},
        {"[1]", NULL, NULL},
        {"", NULL, NULL},
        /* Half of a pair must not come back: that would be the same fault in the answer. */
        {"{\"id\":\"\\ud800\"}", NULL, NULL},
        {"{\"ref\":\"\\udc00\",\"type\":1}", NULL, NULL},
        {"{\"ref\":[\"\\ud800\"],,", NULL, NULL},
        {"{\"ref\":\"\\ud83d\\ude00\",\"type\":1}", NULL, "\"\\ud83d\\ude00\""},
    };
    struct buf buf;
    buf_init(&buf, 4096);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[256] = "";
        struct envelope failed;
        struct fault fault = fault_of(slice_str(rows[i].in), ENVELOPE_OF_CLIENT, &failed);
        CU_ASSERT_NOT_EQUAL(fault.code, FAULT_NONE);
        buf_clear(&buf);
        envelope_append_error(&buf, &fault, &failed);
        json_t *json = read_json(&buf), *body = json_object_get(json, "data");
        CU_ASSERT_EQUAL(json_object_size(json), 6);
        CU_ASSERT_STRING_EQUAL(text_in(json, "type"), "system");
        CU_ASSERT_STRING_EQUAL(text_in(json, "event"), "error");
        CU_ASSERT_STRING_EQUAL(text_in(json, "from"), "server");
        CU_ASSERT_TRUE(uuid_is_valid(slice_str(text_in(json, "id"))));
        CU_ASSERT_STRING_EQUAL(text_in(body, "status"), "error");
        CU_ASSERT_STRING_EQUAL(text_in(body, "code"), "INVALID_PAYLOAD");
        CU_ASSERT_STRING_EQUAL(text_in(body, "message"), fault.message);
        json_t *data = json_object_get(body, "data");
        CU_ASSERT_EQUAL(json_object_get(data, "id") != NULL, rows[i].id != NULL);
        CU_ASSERT_EQUAL(json_object_get(data, "ref") != NULL, rows[i].ref != NULL);
        buf_append_char(&buf, '\0');
        (void)snprintf(expected, sizeof expected, "\"id\":%s", rows[i].id);
        if (rows[i].id != NULL && strstr(buf.ptr, expected) == NULL)
            CU_FAIL(rows[i].in);
        (void)snprintf(expected, sizeof expected, "\"ref\":%s", rows[i].ref);
        if (rows[i].ref != NULL && strstr(buf.ptr, expected) == NULL)
            CU_FAIL(rows[i].in);
        json_decref(json);
    }
    buf_fini(&buf);
}

static void an_error_has_what_else_is_to_be_said(void)
{
    static const struct fault fault = {.code = FAULT_RATE_LIMITED, .message = "no"};
    const struct fault_extra extras[] = {{"class", slice_str("\"typing\"")},
                                         {"nothing", SLICE_NONE},
                                         {"retry_after_ms", slice_str("17")}};
    struct envelope failed = {.raw_ref = slice_str("\"r1\""), .raw_id = SLICE_NONE};
    struct buf buf;
    buf_init(&buf, 4096);
    envelope_append_error_with(&buf, &fault, &failed, extras, 3);
    json_t *json = read_json(&buf);
    json_t *data = json_object_get(json_object_get(json, "data"), "data");
    CU_ASSERT_EQUAL(json_object_size(data), 3);
    CU_ASSERT_STRING_EQUAL(text_in(data, "ref"), "r1");
    CU_ASSERT_STRING_EQUAL(text_in(data, "class"), "typing");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(data, "retry_after_ms")), 17);
    json_decref(json);
    buf_fini(&buf);
}

static void a_long_id_is_not_repeated(void)
{
    char many[ENVELOPE_REPEAT_MAX], json[400];
    memset(many, 'x', sizeof many);
    for (int len = ENVELOPE_REPEAT_MAX - 1; len <= ENVELOPE_REPEAT_MAX + 1; len++) {
        struct envelope envelope;
        /* With its quotes. */
        (void)snprintf(json, sizeof json, "{\"id\":\"%.*s\",\"ref\":\"%.*s\"}", len - 2, many,
                       len - 2, many);
        (void)fault_of(slice_str(json), ENVELOPE_OF_CLIENT, &envelope);
        bool repeated = len <= ENVELOPE_REPEAT_MAX;
        CU_ASSERT_EQUAL(envelope.raw_id.ptr != NULL, repeated);
        CU_ASSERT_EQUAL(envelope.raw_ref.ptr != NULL, repeated);
    }
}

/* --- of the HTTP API --- */

static void the_api_names_sender_and_targets(void)
{
    struct envelope envelope;
    struct fault fault =
        fault_of(slice_str("{\"data\": 1.10 ,\"from\":\"shop\",\"rooms\": [\"a\"] ,\"users\":{},"
                           "\"timestamp\":\"2001-01-01T00:00:00Z\",\"ref\":7,\"type\":\"system\"}"),
                 ENVELOPE_OF_API, &envelope);
    CU_ASSERT_EQUAL(fault.code, FAULT_NONE);
    CU_ASSERT_TRUE(text_is(&envelope.from, "shop"));
    CU_ASSERT_TRUE(slice_equals_str(envelope.data, "1.10"));
    CU_ASSERT_TRUE(slice_equals_str(envelope.rooms, "[\"a\"]"));
    CU_ASSERT_TRUE(slice_equals_str(envelope.users, "{}"));
    CU_ASSERT_EQUAL(envelope.type, ENVELOPE_SYSTEM);
    CU_ASSERT_EQUAL(envelope.timestamp.len, 0);
    CU_ASSERT_FALSE(envelope.ref_given);
    (void)fault_of(slice_str("{\"rooms\":[],\"users\":[]}"), ENVELOPE_OF_CLIENT, &envelope);
    CU_ASSERT_PTR_NULL(envelope.rooms.ptr);
    CU_ASSERT_PTR_NULL(envelope.users.ptr);
}

static void what_the_api_gets_wrong_is_a_fault(void)
{
    static const struct {
        const char *json, *field;
    } rows[] = {
        {"{\"from\":\"\"}", "from"},    {"{\"from\":7}", "from"},
        {"{\"from\":null}", "from"},    {"{\"from\":\"a\\n\"}", "from"},
        {"{\"id\":\"x\"}", "id"},       {"{\"type\":\"x\"}", "type"},
        {"{\"event\":\"x\"}", "event"}, {"{\"event\":\"ping\"}", "event"},
        {"{\"room\":7}", "room"},       {"{\"from\":\"\",\"id\":\"x\"}", "from"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct envelope envelope;
        struct fault fault = fault_of(slice_str(rows[i].json), ENVELOPE_OF_API, &envelope);
        if (fault.code != FAULT_INVALID_PAYLOAD || strcmp(fault.field, rows[i].field) != 0)
            CU_FAIL(rows[i].json);
    }
}

CU_TestInfo envelope_tests[] = {
    {"only_one_whole_object_is_a_message", only_one_whole_object_is_a_message},
    {"a_nul_octet_is_no_white_space", a_nul_octet_is_no_white_space},
    {"a_text_that_is_cut_is_no_message", a_text_that_is_cut_is_no_message},
    {"a_ref_has_64_bytes_at_most", a_ref_has_64_bytes_at_most},
    {"a_reply_repeats_the_ref", a_reply_repeats_the_ref},
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
    {"a_program_is_not_told_off", a_program_is_not_told_off},
    {"of_a_programs_members_too_the_last_one_counts",
     of_a_programs_members_too_the_last_one_counts},
    {"but_no_json_is_no_message_from_a_program_either",
     but_no_json_is_no_message_from_a_program_either},
    {"sender_and_time_are_kept_from_programs_only", sender_and_time_are_kept_from_programs_only},
    {"a_programs_time_is_kept_when_it_is_one", a_programs_time_is_kept_when_it_is_one},
    {"a_programs_name_has_at_most_128_bytes_and_no_controls",
     a_programs_name_has_at_most_128_bytes_and_no_controls},
    {"what_is_absent_is_filled_in", what_is_absent_is_filled_in},
    {"what_is_there_is_kept_in_the_contracts_order", what_is_there_is_kept_in_the_contracts_order},
    {"what_is_written_can_be_read", what_is_written_can_be_read},
    {"an_error_repeats_id_and_ref", an_error_repeats_id_and_ref},
    {"an_error_has_what_else_is_to_be_said", an_error_has_what_else_is_to_be_said},
    {"a_long_id_is_not_repeated", a_long_id_is_not_repeated},
    {"the_api_names_sender_and_targets", the_api_names_sender_and_targets},
    {"what_the_api_gets_wrong_is_a_fault", what_the_api_gets_wrong_is_a_fault},
    CU_TEST_INFO_NULL,
};
