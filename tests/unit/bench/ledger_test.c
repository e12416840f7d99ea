#include "tests/bench/load/ledger.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

/* Two members of one room, two senders. */
static const struct options options = {.rooms = 1, .members = 2, .senders = 2};
static const struct peer members[] = {{.number = 0}, {.number = 1}};

/* A delivery of a sender's message of that number, sent at 100 and read at 350. */
static bool book(struct ledger *ledger, int member, uint16_t sender, uint32_t number)
{
    const struct stamp sent = {.number = number, .sender = sender, .time_ns = 100};
    struct stamp stamp;
    char letters[STAMP_LETTERS], text[64];
    stamp_write(letters, &sent);
    int len = snprintf(text, sizeof text, "{\"s\":\"%.*s\"}", STAMP_LETTERS, letters);
    return ledger_book(ledger, &members[member], text, (size_t)len, 350, &stamp);
}

static struct ledger open_ledger(void)
{
    struct ledger ledger;
    ledger_init(&ledger, &options);
    book(&ledger, 0, STAMP_PROBE, 0);
    return ledger;
}

static void counts_what_comes_in_order(void)
{
    struct ledger ledger = open_ledger();
    const uint32_t sent[] = {3, 1};
    for (uint32_t number = 0; number < 3; number++)
        CU_ASSERT_TRUE(book(&ledger, 0, 0, number));
    CU_ASSERT_TRUE(book(&ledger, 0, 1, 0));
    ledger_close(&ledger, &members[0], sent);
    CU_ASSERT_EQUAL(ledger.totals.deliveries, 4);
    CU_ASSERT_EQUAL(ledger.totals.lost + ledger.totals.duplicated + ledger.totals.out_of_order, 0);
    ledger_fini(&ledger);
}

static void finds_what_is_lost(void)
{
    struct ledger ledger = open_ledger();
    const uint32_t sent[] = {10, 0};
    CU_ASSERT_TRUE(book(&ledger, 0, 0, 0));
    CU_ASSERT_TRUE(book(&ledger, 0, 0, 3));
    CU_ASSERT_EQUAL(ledger.totals.lost, 2);
    ledger_close(&ledger, &members[0], sent);
    CU_ASSERT_EQUAL(ledger.totals.lost, 2 + 6);
    ledger_close(&ledger, &members[1], sent);
    CU_ASSERT_EQUAL(ledger.totals.lost, 2 + 6 + 10);
    ledger_fini(&ledger);
}

static void finds_what_comes_twice(void)
{
    struct ledger ledger = open_ledger();
    book(&ledger, 0, 0, 0);
    book(&ledger, 0, 0, 1);
    CU_ASSERT_FALSE(book(&ledger, 0, 0, 1));
    CU_ASSERT_FALSE(book(&ledger, 0, 0, 0));
    CU_ASSERT_TRUE(book(&ledger, 1, 0, 0)); /* another member's */
    CU_ASSERT_EQUAL(ledger.totals.duplicated, 2);
    CU_ASSERT_EQUAL(ledger.totals.deliveries, 3);
    ledger_fini(&ledger);
}

static void finds_what_is_out_of_order(void)
{
    struct ledger ledger = open_ledger();
    book(&ledger, 0, 0, 0);
    book(&ledger, 0, 0, 2);
    CU_ASSERT_TRUE(book(&ledger, 0, 0, 1));
    CU_ASSERT_EQUAL(ledger.totals.out_of_order, 1);
    CU_ASSERT_EQUAL(ledger.totals.lost, 0);
    CU_ASSERT_FALSE(book(&ledger, 0, 0, 1));
    CU_ASSERT_EQUAL(ledger.totals.duplicated, 1);
    ledger_fini(&ledger);
}

static void refuses_what_nobody_sent(void)
{
    struct ledger ledger = open_ledger();
    struct stamp stamp;
    CU_ASSERT_FALSE(book(&ledger, 0, 2, 0));
    CU_ASSERT_FALSE(ledger_book(&ledger, &members[0], "{}", 2, 0, &stamp));
    ledger.message_len++;
    CU_ASSERT_FALSE(book(&ledger, 0, 0, 0));
    CU_ASSERT_EQUAL(ledger.totals.unexpected, 3);
    ledger_fini(&ledger);
}

static void late_copies_of_the_probe_change_nothing(void)
{
    struct ledger ledger = open_ledger();
    size_t len = ++ledger.message_len;
    CU_ASSERT_FALSE(book(&ledger, 1, STAMP_PROBE, 0));
    CU_ASSERT_EQUAL(ledger.message_len, len);
    CU_ASSERT_EQUAL(ledger.totals.unexpected, 0);
    ledger_fini(&ledger);
}

static void measures_what_was_due_in_its_time(void)
{
    struct ledger ledger = open_ledger();
    book(&ledger, 0, 0, 0);
    CU_ASSERT_EQUAL(ledger.latency.count, 0);
    ledger.from_ns = 100;
    ledger.to_ns = 101;
    book(&ledger, 0, 0, 1);
    CU_ASSERT_EQUAL(ledger.latency.max_ns, 250);
    ledger.from_ns = 0;
    ledger.to_ns = 100;
    book(&ledger, 0, 0, 2);
    CU_ASSERT_EQUAL(ledger.latency.count, 1);
    ledger_fini(&ledger);
}

CU_TestInfo ledger_tests[] = {
    {"counts_what_comes_in_order", counts_what_comes_in_order},
    {"finds_what_is_lost", finds_what_is_lost},
    {"finds_what_comes_twice", finds_what_comes_twice},
    {"finds_what_is_out_of_order", finds_what_is_out_of_order},
    {"refuses_what_nobody_sent", refuses_what_nobody_sent},
    {"late_copies_of_the_probe_change_nothing", late_copies_of_the_probe_change_nothing},
    {"measures_what_was_due_in_its_time", measures_what_was_due_in_its_time},
    CU_TEST_INFO_NULL,
};
