#include "core/presence/record.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

extern CU_TestInfo record_tests[];

static const struct record plain = {.rev = 7, .clients = 2, .since_ms = 1000, .text = {"", 0}};

static struct record full(void)
{
    return (struct record){.rev = 1ULL << 52,
                           .clients = 1,
                           .since_ms = 1770000000000,
                           .stamp_ms = 1770000000001,
                           .status = PRESENCE_BUSY,
                           .name = slice_str("Zoë \"Z\""),
                           .text = slice_str("back\\at 5")};
}

static void expect_text(const struct record *record, const char *expected)
{
    struct buf buf;
    buf_init(&buf, 4096);
    record_append(&buf, record);
    CU_ASSERT_TRUE(slice_equals_str(buf_slice(&buf), expected));
    buf_fini(&buf);
}

static void a_plain_record_is_three_numbers(void)
{
    expect_text(&plain, "[7,2,1000]");
}

struct got {
    unsigned calls;
    struct record record;
    struct note note;
    char lease[64], user[256], name[256], text[256];
    bool typing;
};

static void keep(char *out, size_t size, struct slice text)
{
    snprintf(out, size, "%.*s", (int)text.len, text.ptr != NULL ? text.ptr : "");
}

static void keep_record(void *arg, const struct record *record)
{
    struct got *got = arg;
    got->calls++;
    got->record = *record;
    keep(got->name, sizeof got->name, record->name);
    keep(got->text, sizeof got->text, record->text);
}

static void what_is_written_is_read(void)
{
    struct record record = full();
    struct got got = {0};
    struct buf buf;
    buf_init(&buf, 4096);
    record_append(&buf, &record);
    CU_ASSERT_TRUE(record_read(buf_slice(&buf), keep_record, &got));
    CU_ASSERT_EQUAL(got.record.rev, record.rev);
    CU_ASSERT_EQUAL(got.record.clients, 1);
    CU_ASSERT_EQUAL(got.record.since_ms, record.since_ms);
    CU_ASSERT_EQUAL(got.record.stamp_ms, record.stamp_ms);
    CU_ASSERT_EQUAL(got.record.status, PRESENCE_BUSY);
    CU_ASSERT_STRING_EQUAL(got.name, "Zoë \"Z\"");
    CU_ASSERT_STRING_EQUAL(got.text, "back\\at 5");
    buf_fini(&buf);
}

static void a_name_may_be_missing_beside_a_status(void)
{
    struct record record = full();
    struct got got = {0};
    struct buf buf;
    record.name = SLICE_NONE;
    buf_init(&buf, 4096);
    record_append(&buf, &record);
    CU_ASSERT_TRUE(record_read(buf_slice(&buf), keep_record, &got));
    CU_ASSERT_PTR_NULL(got.record.name.ptr);
    buf_fini(&buf);
}

static void what_is_not_in_order_is_refused(void)
{
    static const char *const wrong[] = {
        "",
        "[",
        "{}",
        "7",
        "[]",
        "[1,2]",
        "[\"1\",2,3]",
        "[1,-2,3]",
        "[1,4294967296,3]",
        "[1,2,3.5]",
        "[1,2,3,4]",
        "[1,2,3,4,5]",
        "[1,2,3,4,\"gone\"]",
        "[1,2,3,-4,\"busy\"]",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct got got = {0};
        CU_ASSERT_FALSE(record_read(slice_str(wrong[i]), keep_record, &got));
        CU_ASSERT_EQUAL(got.calls, 0);
    }
}

/* --- signals --- */

static void on_set(void *arg, struct slice lease, struct slice user, const struct record *record)
{
    struct got *got = arg;
    keep(got->lease, sizeof got->lease, lease);
    keep(got->user, sizeof got->user, user);
    keep_record(got, record);
}

static void on_note(void *arg, struct slice lease, const struct note *note)
{
    struct got *got = arg;
    got->calls++;
    keep(got->lease, sizeof got->lease, lease);
    keep(got->text, sizeof got->text, note->text);
    got->note = *note;
}

static void on_typing(void *arg, struct slice user, bool typing)
{
    struct got *got = arg;
    got->calls++;
    keep(got->user, sizeof got->user, user);
    got->typing = typing;
}

static bool read_signal(const char *text, struct got *got)
{
    const struct signal_handlers handlers = {
        .arg = got, .on_set = on_set, .on_note = on_note, .on_typing = on_typing};
    *got = (struct got){0};
    return signal_read(slice_str(text), &handlers);
}

#define LEASE "\"lease\":\"0123456789abcdef\""

static void signals_are_read(void)
{
    struct got got;
    CU_ASSERT_TRUE(read_signal(
        "{\"presence\":{" LEASE ",\"set\":[[\"ann\",[1,1,5]],[\"bob\",[2,0,6]]]}}", &got));
    CU_ASSERT_EQUAL(got.calls, 2);
    CU_ASSERT_STRING_EQUAL(got.lease, "0123456789abcdef");
    CU_ASSERT_STRING_EQUAL(got.user, "bob");
    CU_ASSERT_EQUAL(got.record.clients, 0);
    CU_ASSERT_TRUE(read_signal("{\"presence\":{" LEASE ",\"typing\":[\"ann\",true,9]}}", &got));
    CU_ASSERT_TRUE(got.typing);
    CU_ASSERT_STRING_EQUAL(got.user, "ann");
}

static void notes_are_written_and_read(void)
{
    const struct note note = {.ask = true,
                              .idle = true,
                              .stamp_ms = 12,
                              .status = PRESENCE_OFFLINE,
                              .text = slice_str("a\"b")};
    struct got got;
    struct buf buf;
    buf_init(&buf, 4096);
    buf_append_str(&buf, "{\"presence\":{" LEASE ",\"user\":");
    note_append(&buf, &note);
    buf_append(&buf, "}}", 3);
    CU_ASSERT_TRUE(read_signal(buf.ptr, &got));
    CU_ASSERT_TRUE(got.note.ask);
    CU_ASSERT_TRUE(got.note.idle);
    CU_ASSERT_FALSE(got.note.gone);
    CU_ASSERT_EQUAL(got.note.stamp_ms, 12);
    CU_ASSERT_EQUAL(got.note.status, PRESENCE_OFFLINE);
    CU_ASSERT_STRING_EQUAL(got.text, "a\"b");
    buf_fini(&buf);
}

static void signals_out_of_order_are_refused(void)
{
    static const char *const wrong[] = {
        "{\"presence\":{}}",
        "{\"presence\":7}",
        "{\"presence\":{\"lease\":\"short\",\"set\":[]}}",
        "{\"presence\":{" LEASE "}}",
        "{\"presence\":{" LEASE ",\"set\":[7]}}",
        "{\"presence\":{" LEASE ",\"set\":[[\"\",[1,1,1]]]}}",
        "{\"presence\":{" LEASE ",\"set\":[[\"ann\",[1]]]}}",
        "{\"presence\":{" LEASE ",\"user\":{}}}",
        "{\"presence\":{" LEASE ",\"user\":{\"stamp\":1,\"status\":\"busy\"}}}",
        "{\"presence\":{" LEASE ",\"typing\":[\"ann\",1]}}",
        "{\"presence\":{" LEASE ",\"typing\":[true,\"ann\"]}}",
        "{\"other\":{" LEASE ",\"typing\":[\"ann\",true]}}",
    };
    struct got got;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CU_ASSERT_FALSE(read_signal(wrong[i], &got));
        CU_ASSERT_EQUAL(got.calls, 0);
    }
}

static void mind_nothing(void *arg, const struct record *record)
{
    (void)arg;
    (void)record;
}

/* yajl's tree would be given back by a recursion as deep as the text. */
static void what_is_nested_deeply_is_not_begun(void)
{
    enum { LEVELS = 1000000 };
    struct buf deep;
    buf_init(&deep, (size_t)2 * LEVELS);
    for (size_t i = 0; i < (size_t)2 * LEVELS; i++)
        buf_append_char(&deep, i < LEVELS ? '[' : ']');
    CU_ASSERT_FALSE(record_read(buf_slice(&deep), mind_nothing, NULL));
    buf_fini(&deep);

    /* Brackets in a text nest nothing, nor do those behind an escaped quotation mark. */
    CU_ASSERT_TRUE(
        record_read(slice_str("[1,1,1,1,\"busy\",null,\"[[[[[[[[[[\"]"), mind_nothing, NULL));
    CU_ASSERT_TRUE(
        record_read(slice_str("[1,1,1,1,\"busy\",null,\"\\\"[[[[[[[[[[\"]"), mind_nothing, NULL));
}

static void a_signal_is_told_by_its_beginning(void)
{
    CU_ASSERT_TRUE(signal_is_presence(slice_str("{\"presence\":{}}")));
    CU_ASSERT_FALSE(signal_is_presence(slice_str("{\"id\":\"x\"}")));
    CU_ASSERT_FALSE(signal_is_presence(slice_str("{")));
}

static void statuses_have_names(void)
{
    enum presence_status status;
    for (int i = 0; i < PRESENCE_STATUSES; i++) {
        const char *name = presence_status_name((enum presence_status)i);
        CU_ASSERT_TRUE(presence_status_parse(slice_str(name), &status));
        CU_ASSERT_EQUAL((int)status, i);
    }
    CU_ASSERT_FALSE(presence_status_parse(slice_str("Online"), &status));
    CU_ASSERT_FALSE(presence_status_parse(slice_str(""), &status));
}

CU_TestInfo record_tests[] = {
    {"what_is_nested_deeply_is_not_begun", what_is_nested_deeply_is_not_begun},
    {"a_plain_record_is_three_numbers", a_plain_record_is_three_numbers},
    {"what_is_written_is_read", what_is_written_is_read},
    {"a_name_may_be_missing_beside_a_status", a_name_may_be_missing_beside_a_status},
    {"what_is_not_in_order_is_refused", what_is_not_in_order_is_refused},
    {"signals_are_read", signals_are_read},
    {"notes_are_written_and_read", notes_are_written_and_read},
    {"signals_out_of_order_are_refused", signals_out_of_order_are_refused},
    {"a_signal_is_told_by_its_beginning", a_signal_is_told_by_its_beginning},
    {"statuses_have_names", statuses_have_names},
    CU_TEST_INFO_NULL,
};
