#include "core/chat/envelope.h"

#include <CUnit/CUnit.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "tests/support/envelope.h"

#define ID "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"

static bool text_is(const struct envelope_text *text, const char *expected)
{
    return slice_equals_str(slice_of(text->bytes, text->len), expected);
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
    CU_ASSERT_EQUAL(envelope_fault_of(slice_str(in), source, &envelope).code, FAULT_NONE);
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
            CU_ASSERT_EQUAL(envelope_fault_of(buf_slice(&buf), ENVELOPE_OF_CLIENT, &again).code,
                            FAULT_NONE);
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
        struct fault fault = envelope_fault_of(slice_str(rows[i].in), ENVELOPE_OF_CLIENT, &failed);
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
        (void)envelope_fault_of(slice_str(json), ENVELOPE_OF_CLIENT, &envelope);
        bool repeated = len <= ENVELOPE_REPEAT_MAX;
        CU_ASSERT_EQUAL(envelope.raw_id.ptr != NULL, repeated);
        CU_ASSERT_EQUAL(envelope.raw_ref.ptr != NULL, repeated);
    }
}

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
        CU_ASSERT_EQUAL(envelope_fault_of(slice_str(in), ENVELOPE_OF_CLIENT, &taken).code,
                        FAULT_NONE);
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

CU_TestInfo envelope_out_tests[] = {
    {"a_reply_repeats_the_ref", a_reply_repeats_the_ref},
    {"what_is_absent_is_filled_in", what_is_absent_is_filled_in},
    {"what_is_there_is_kept_in_the_contracts_order", what_is_there_is_kept_in_the_contracts_order},
    {"what_is_written_can_be_read", what_is_written_can_be_read},
    {"an_error_repeats_id_and_ref", an_error_repeats_id_and_ref},
    {"an_error_has_what_else_is_to_be_said", an_error_has_what_else_is_to_be_said},
    {"a_long_id_is_not_repeated", a_long_id_is_not_repeated},
    CU_TEST_INFO_NULL,
};
