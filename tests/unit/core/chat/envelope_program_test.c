#include "core/chat/envelope.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/envelope.h"

#define ID "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"

static bool text_is(const struct envelope_text *text, const char *expected)
{
    return slice_equals_str(slice_of(text->bytes, text->len), expected);
}

/* --- of a program --- */

static void a_program_is_not_told_off(void)
{
    struct envelope envelope;
    struct fault fault = envelope_fault_of(
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
    (void)envelope_fault_of(
        slice_str("{\"id\":\"" ID "\",\"type\":\"system\",\"event\":\"a:b\",\"from\":"
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
        CU_ASSERT_EQUAL(envelope_fault_of(slice_str(texts[i]), ENVELOPE_OF_PROGRAM, &envelope).code,
                        FAULT_INVALID_PAYLOAD);
    }
}

static void sender_and_time_are_kept_from_programs_only(void)
{
    static const char json[] =
        "{\"from\":\"b\\u006ft\",\"timestamp\":\"2026-02-05T00:00:00.123Z\"}";
    struct envelope envelope;
    (void)envelope_fault_of(slice_str(json), ENVELOPE_OF_PROGRAM, &envelope);
    CU_ASSERT_TRUE(text_is(&envelope.from, "bot"));
    CU_ASSERT_TRUE(text_is(&envelope.timestamp, "2026-02-05T00:00:00.123Z"));
    (void)envelope_fault_of(slice_str(json), ENVELOPE_OF_CLIENT, &envelope);
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
        (void)envelope_fault_of(slice_str(json), ENVELOPE_OF_PROGRAM, &envelope);
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
        (void)envelope_fault_of(slice_str(json), ENVELOPE_OF_PROGRAM, &envelope);
        CU_ASSERT_EQUAL((int)envelope.from.len, len <= ENVELOPE_FROM_MAX ? len : 0);
    }
    (void)envelope_fault_of(slice_str("{\"from\":\"a\\u0000\"}"), ENVELOPE_OF_PROGRAM, &envelope);
    CU_ASSERT_EQUAL(envelope.from.len, 0);
}

/* --- of the HTTP API --- */

static void the_api_names_sender_and_targets(void)
{
    struct envelope envelope;
    struct fault fault = envelope_fault_of(
        slice_str("{\"data\": 1.10 ,\"from\":\"shop\",\"rooms\": [\"a\"] ,\"users\":{},"
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
    (void)envelope_fault_of(slice_str("{\"rooms\":[],\"users\":[]}"), ENVELOPE_OF_CLIENT,
                            &envelope);
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
        struct fault fault = envelope_fault_of(slice_str(rows[i].json), ENVELOPE_OF_API, &envelope);
        if (fault.code != FAULT_INVALID_PAYLOAD || strcmp(fault.field, rows[i].field) != 0)
            CU_FAIL(rows[i].json);
    }
}

CU_TestInfo envelope_program_tests[] = {
    {"a_program_is_not_told_off", a_program_is_not_told_off},
    {"of_a_programs_members_too_the_last_one_counts",
     of_a_programs_members_too_the_last_one_counts},
    {"but_no_json_is_no_message_from_a_program_either",
     but_no_json_is_no_message_from_a_program_either},
    {"sender_and_time_are_kept_from_programs_only", sender_and_time_are_kept_from_programs_only},
    {"a_programs_time_is_kept_when_it_is_one", a_programs_time_is_kept_when_it_is_one},
    {"a_programs_name_has_at_most_128_bytes_and_no_controls",
     a_programs_name_has_at_most_128_bytes_and_no_controls},
    {"the_api_names_sender_and_targets", the_api_names_sender_and_targets},
    {"what_the_api_gets_wrong_is_a_fault", what_the_api_gets_wrong_is_a_fault},
    CU_TEST_INFO_NULL,
};
