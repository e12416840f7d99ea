#include "handlers/events.h"

#include <CUnit/CUnit.h>
#include <string.h>

static void each_event_is_found_by_its_name(void)
{
    CU_ASSERT_PTR_NOT_NULL(events_table[0].name);
    for (const struct event *event = events_table; event->name != NULL; event++)
        CU_ASSERT_PTR_EQUAL(events_find(slice_str(event->name)), event);
}

static void another_name_finds_none(void)
{
    static const char *const names[] = {
        "",      "message", "message:",      "message:sen", "PING",
        "ping ", "pin",     "message:send:", "anything",    "presence"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CU_ASSERT_PTR_NULL(events_find(slice_str(names[i])));
}

/* What clients may say is handled and answered, and the rest is said to them. */
static void rows_are_whole(void)
{
    for (const struct event *event = events_table; event->name != NULL; event++) {
        bool is_said = event->in != NULL;
        CU_ASSERT_EQUAL(event->handle != NULL, is_said);
        CU_ASSERT_EQUAL(event->reply != NULL, is_said);
        CU_ASSERT_TRUE(is_said || event->out != NULL);
        CU_ASSERT_TRUE(is_said || event->class == EVENT_UNLIMITED);
        CU_ASSERT_TRUE(event->type < ENVELOPE_TYPES);
    }
}

static void names_fit_an_envelope_and_need_no_escapes(void)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz_:";
    for (const struct event *event = events_table; event->name != NULL; event++) {
        CU_ASSERT_TRUE(strlen(event->name) <= ENVELOPE_EVENT_MAX);
        CU_ASSERT_EQUAL(strspn(event->name, good), strlen(event->name));
    }
}

static void each_class_but_one_has_a_name(void)
{
    CU_ASSERT_PTR_NULL(event_class_name(EVENT_UNLIMITED));
    for (enum event_class class = EVENT_UNLIMITED + 1; class < EVENT_CLASSES; class ++)
        CU_ASSERT_PTR_NOT_NULL(event_class_name(class));
}

CU_TestInfo events_tests[] = {
    {"each_event_is_found_by_its_name", each_event_is_found_by_its_name},
    {"another_name_finds_none", another_name_finds_none},
    {"rows_are_whole", rows_are_whole},
    {"names_fit_an_envelope_and_need_no_escapes", names_fit_an_envelope_and_need_no_escapes},
    {"each_class_but_one_has_a_name", each_class_but_one_has_a_name},
    CU_TEST_INFO_NULL,
};
