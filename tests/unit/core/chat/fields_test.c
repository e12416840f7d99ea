#include "core/chat/fields.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

enum { ID, DATA, TYPING, COUNT };

static enum err read_fields(const char *json, struct field *fields)
{
    fields[ID].name = "id";
    fields[DATA].name = "data";
    fields[TYPING].name = "typing";
    return fields_read(slice_str(json), fields, COUNT);
}

static void members_are_found_by_name(void)
{
    struct field fields[COUNT];
    CU_ASSERT_EQUAL(read_fields(" {\"x\":{\"id\":7},\"id\" : \"a\\\"b\" ,\"typing\":true}", fields),
                    ERR_INVALID); /* the caller hands over from the brace on */
    CU_ASSERT_EQUAL(read_fields("{\"x\":{\"id\":7},\"id\" : \"a\\\"b\" ,\"typing\":true}", fields),
                    ERR_OK);
    CU_ASSERT_EQUAL(fields[ID].kind, FIELD_STRING);
    CU_ASSERT_TRUE(slice_equals_str(field_text(&fields[ID]), "a\"b"));
    CU_ASSERT_TRUE(slice_equals_str(fields[ID].raw, "\"a\\\"b\""));
    CU_ASSERT_EQUAL(fields[DATA].kind, FIELD_ABSENT);
    CU_ASSERT_EQUAL(fields[TYPING].kind, FIELD_BOOL);
    CU_ASSERT_TRUE(fields[TYPING].truth);
}

static void a_value_is_kept_as_it_came(void)
{
    static const struct {
        const char *value;
        enum field_kind kind;
    } rows[] = {
        {"null", FIELD_NULL},
        {"false", FIELD_BOOL},
        {"1.10", FIELD_NUMBER},
        {"1e400", FIELD_NUMBER},
        {"\"\"", FIELD_STRING},
        {"[]", FIELD_ARRAY},
        {"[1, [2, 3]]", FIELD_ARRAY},
        {"{}", FIELD_OBJECT},
        {"{\"id\":{\"id\":1}}", FIELD_OBJECT},
        {"-0", FIELD_NUMBER},
        {"\"\\u0000\"", FIELD_STRING},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const char *const forms[] = {"{\"data\":%s}", "{\"data\" :\t%s }",
                                            "{\"a\":[1,2],\"data\":%s,\"b\":0}"};
        for (size_t form = 0; form < sizeof forms / sizeof *forms; form++) {
            char json[128];
            struct field fields[COUNT];
            const char *at = strstr(forms[form], "%s");
            memcpy(json, forms[form], (size_t)(at - forms[form]));
            json[at - forms[form]] = '\0';
            strncat(json, rows[i].value, 64);
            strncat(json, at + 2, 32);
            CU_ASSERT_EQUAL(read_fields(json, fields), ERR_OK);
            CU_ASSERT_EQUAL(fields[DATA].kind, rows[i].kind);
            CU_ASSERT_TRUE(slice_equals_str(fields[DATA].raw, rows[i].value));
        }
    }
}

static void the_last_of_two_counts(void)
{
    struct field fields[COUNT];
    CU_ASSERT_EQUAL(read_fields("{\"id\":1,\"id\":\"two\"}", fields), ERR_OK);
    CU_ASSERT_EQUAL(fields[ID].kind, FIELD_STRING);
    CU_ASSERT_TRUE(slice_equals_str(field_text(&fields[ID]), "two"));
}

static void what_is_no_object_is_refused(void)
{
    static const char *const bad[] = {"", "[]", "1", "null", "\"id\"", "[{\"id\":1}]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct field fields[COUNT];
        CU_ASSERT_EQUAL(read_fields(bad[i], fields), ERR_INVALID);
        CU_ASSERT_EQUAL(fields[ID].kind, FIELD_ABSENT);
    }
    CU_ASSERT_EQUAL(fields_read(SLICE_NONE, NULL, 0), ERR_INVALID);
}

/* A longer text keeps its length, so that whoever asks for fewer bytes refuses it. */
static void a_text_is_kept_up_to_its_bound(void)
{
    for (size_t len = FIELD_TEXT_MAX - 1; len <= FIELD_TEXT_MAX + 1; len++) {
        char json[FIELD_TEXT_MAX + 32] = "{\"id\":\"";
        struct field fields[COUNT];
        memset(json + 7, 'x', len);
        memcpy(json + 7 + len, "\"}", 3);
        CU_ASSERT_EQUAL(read_fields(json, fields), ERR_OK);
        CU_ASSERT_EQUAL(fields[ID].text_len, len);
        CU_ASSERT_EQUAL(fields[ID].raw.len, len + 2);
    }
}

struct seen {
    char text[64];
    int count, stop_at;
};

static bool see(void *arg, const struct field *element)
{
    struct seen *seen = arg;
    size_t len = strlen(seen->text);
    (void)snprintf(seen->text + len, sizeof seen->text - len, "<%.*s>", (int)element->raw.len,
                   element->raw.ptr);
    return ++seen->count != seen->stop_at;
}

static void elements_come_in_order(void)
{
    struct seen seen = {.count = 0};
    CU_ASSERT_EQUAL(fields_read_array(slice_str("[1, \"b\" ,[2,3],{\"x\":[]}, null]"), see, &seen),
                    ERR_OK);
    CU_ASSERT_STRING_EQUAL(seen.text, "<1><\"b\"><[2,3]><{\"x\":[]}><null>");
    seen = (struct seen){.count = 0};
    CU_ASSERT_EQUAL(fields_read_array(slice_str("[]"), see, &seen), ERR_OK);
    CU_ASSERT_EQUAL(seen.count, 0);
    seen = (struct seen){.stop_at = 2};
    CU_ASSERT_EQUAL(fields_read_array(slice_str("[1,2,3]"), see, &seen), ERR_INVALID);
    CU_ASSERT_EQUAL(seen.count, 2);
    CU_ASSERT_EQUAL(fields_read_array(slice_str("{}"), see, &seen), ERR_INVALID);
}

CU_TestInfo fields_tests[] = {
    {"members_are_found_by_name", members_are_found_by_name},
    {"a_value_is_kept_as_it_came", a_value_is_kept_as_it_came},
    {"the_last_of_two_counts", the_last_of_two_counts},
    {"what_is_no_object_is_refused", what_is_no_object_is_refused},
    {"a_text_is_kept_up_to_its_bound", a_text_is_kept_up_to_its_bound},
    {"elements_come_in_order", elements_come_in_order},
    CU_TEST_INFO_NULL,
};
