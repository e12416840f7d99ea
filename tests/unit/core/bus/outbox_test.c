#include "core/bus/outbox.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"

extern CU_TestInfo outbox_tests[];

/* Pushes a message whose payload is the number; returns how many were dropped. */
static size_t push(struct outbox *outbox, unsigned number)
{
    struct blob *blob = blob_try_create(8);
    bool must_wake;
    snprintf(blob->bytes, 8, "%07u", number);
    size_t dropped = outbox_push(outbox, slice_str("room"), blob, 0, &must_wake);
    blob_release(blob);
    return dropped;
}

static unsigned number_of(const struct list_link *link)
{
    const struct outbox_message *message = LIST_ENTRY(link, struct outbox_message, link);
    unsigned number = 0;
    sscanf(message->blob->bytes, "%u", &number);
    return number;
}

/* Whether the list holds from … to - 1. */
static bool holds(const struct list *list, unsigned from, unsigned to)
{
    for (struct list_link *at = list->head.next; at != &list->head; at = at->next)
        if (number_of(at) != from++)
            return false;
    return from == to;
}

static void gives_messages_in_order_with_their_room(void)
{
    struct outbox outbox;
    struct list taken;
    list_init(&taken);
    outbox_init(&outbox, 10, 10000);
    for (unsigned i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(push(&outbox, i), 0);
    CU_ASSERT_EQUAL(outbox_take(&outbox, 3, 10000, &taken), 3);
    CU_ASSERT(holds(&taken, 0, 3));
    struct outbox_message *first = LIST_ENTRY(list_first(&taken), struct outbox_message, link);
    CU_ASSERT(slice_equals_str(slice_of(first->room, first->room_len), "room"));
    CU_ASSERT_FALSE(first->is_global);
    CU_ASSERT_EQUAL(outbox_get_counts(&outbox).messages, 5);
    outbox_settle(&outbox, &taken, 0);
    CU_ASSERT_EQUAL(outbox_get_counts(&outbox).messages, 2);
    outbox_fini(&outbox);
}

static void drops_the_oldest_past_its_number(void)
{
    struct outbox outbox;
    struct list taken;
    list_init(&taken);
    outbox_init(&outbox, 3, 10000);
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(push(&outbox, i), 0);
    CU_ASSERT_EQUAL(push(&outbox, 3), 1);
    CU_ASSERT_EQUAL(push(&outbox, 4), 1);
    CU_ASSERT_EQUAL(outbox_get_counts(&outbox).dropped, 2);
    CU_ASSERT_EQUAL(outbox_take(&outbox, 10, 10000, &taken), 3);
    CU_ASSERT(holds(&taken, 2, 5));
    outbox_settle(&outbox, &taken, 0);
    CU_ASSERT_EQUAL(outbox_get_counts(&outbox).bytes, 0);
    outbox_fini(&outbox);
}

static void drops_the_oldest_past_its_bytes(void)
{
    size_t one = sizeof(struct outbox_message) + 4 + 8;
    for (size_t slack = 0; slack < 3; slack++) {
        struct outbox outbox;
        outbox_init(&outbox, 100, 2 * one - 1 + slack);
        push(&outbox, 0);
        /* One byte too few, exactly enough, one more. */
        CU_ASSERT_EQUAL(push(&outbox, 1), slack == 0 ? 1 : 0);
        CU_ASSERT_EQUAL(push(&outbox, 2), 1);
        outbox_fini(&outbox);
    }
}

static void drops_a_message_larger_than_everything(void)
{
    struct outbox outbox;
    outbox_init(&outbox, 100, 10);
    CU_ASSERT_EQUAL(push(&outbox, 0), 1);
    CU_ASSERT_EQUAL(outbox_get_counts(&outbox).messages, 0);
    outbox_fini(&outbox);
}

static void takes_by_bytes_but_never_nothing(void)
{
    struct outbox outbox;
    struct list taken;
    list_init(&taken);
    outbox_init(&outbox, 10, 10000);
    for (unsigned i = 0; i < 4; i++)
        push(&outbox, i);
    size_t one = sizeof(struct outbox_message) + 4 + 8;
    CU_ASSERT_EQUAL(outbox_take(&outbox, 10, 1, &taken), 1);
    CU_ASSERT_EQUAL(outbox_take(&outbox, 10, 2 * one, &taken), 2);
    CU_ASSERT_EQUAL(outbox_take(&outbox, 10, 1, &taken), 1);
    CU_ASSERT_EQUAL(outbox_take(&outbox, 10, 1, &taken), 0);
    CU_ASSERT(holds(&taken, 0, 4));
    outbox_settle(&outbox, &taken, 0);
    outbox_fini(&outbox);
}

static void what_is_given_back_comes_first_again(void)
{
    struct outbox outbox;
    struct list taken;
    list_init(&taken);
    outbox_init(&outbox, 10, 10000);
    for (unsigned i = 0; i < 6; i++)
        push(&outbox, i);
    outbox_take(&outbox, 4, 10000, &taken);
    outbox_give_back(&outbox, &taken);
    CU_ASSERT(list_is_empty(&taken));
    CU_ASSERT_EQUAL(outbox_get_counts(&outbox).messages, 6);
    CU_ASSERT_EQUAL(outbox_take(&outbox, 10, 10000, &taken), 6);
    CU_ASSERT(holds(&taken, 0, 6));
    outbox_settle(&outbox, &taken, 0);
    outbox_fini(&outbox);
}

static void small_bound_counts_only_while_away(void)
{
    struct outbox outbox;
    struct list taken;
    list_init(&taken);
    outbox_init(&outbox, 3, 1000000);
    CU_ASSERT_EQUAL(outbox_set_flowing(&outbox, true), 0);
    for (unsigned i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(push(&outbox, i), 0);
    outbox_take(&outbox, 2, 1000000, &taken);
    outbox_give_back(&outbox, &taken);
    CU_ASSERT_EQUAL(outbox_set_flowing(&outbox, false), 5);
    outbox_take(&outbox, 10, 1000000, &taken);
    CU_ASSERT(holds(&taken, 5, 8));
    outbox_settle(&outbox, &taken, 0);
    outbox_fini(&outbox);
}

static void asks_for_a_wake_only_while_flowing(void)
{
    struct outbox outbox;
    struct blob *blob = blob_try_create(1);
    bool must_wake = true;
    outbox_init(&outbox, 3, 1000);
    outbox_push(&outbox, SLICE_NONE, blob, 0, &must_wake);
    CU_ASSERT_FALSE(must_wake);
    outbox_set_flowing(&outbox, true);
    outbox_push(&outbox, SLICE_NONE, blob, 0, &must_wake);
    CU_ASSERT_TRUE(must_wake);
    blob_release(blob);
    outbox_fini(&outbox);
}

static void counts_what_memory_is_missing_for(void)
{
    struct outbox outbox;
    struct blob *blob = blob_try_create(1);
    bool must_wake = true;
    outbox_init(&outbox, 3, 1000);
    mem_fail_after(1);
    CU_ASSERT_EQUAL(outbox_push(&outbox, SLICE_NONE, blob, 0, &must_wake), 1);
    mem_fail_after(0);
    CU_ASSERT_FALSE(must_wake);
    CU_ASSERT_EQUAL(outbox_get_counts(&outbox).messages, 0);
    CU_ASSERT_EQUAL(outbox_get_counts(&outbox).dropped, 1);
    CU_ASSERT_EQUAL(atomic_load(&blob->refs), 1);
    blob_release(blob);
    outbox_fini(&outbox);
}

CU_TestInfo outbox_tests[] = {
    {"gives_messages_in_order_with_their_room", gives_messages_in_order_with_their_room},
    {"drops_the_oldest_past_its_number", drops_the_oldest_past_its_number},
    {"drops_the_oldest_past_its_bytes", drops_the_oldest_past_its_bytes},
    {"drops_a_message_larger_than_everything", drops_a_message_larger_than_everything},
    {"takes_by_bytes_but_never_nothing", takes_by_bytes_but_never_nothing},
    {"what_is_given_back_comes_first_again", what_is_given_back_comes_first_again},
    {"small_bound_counts_only_while_away", small_bound_counts_only_while_away},
    {"asks_for_a_wake_only_while_flowing", asks_for_a_wake_only_while_flowing},
    {"counts_what_memory_is_missing_for", counts_what_memory_is_missing_for},
    CU_TEST_INFO_NULL,
};
