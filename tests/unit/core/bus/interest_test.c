#include "core/bus/interest.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

#include "core/base/mem.h"

extern CU_TestInfo interest_tests[];

static void want(struct interest *interest, const char *room, bool wanted)
{
    CU_ASSERT_EQUAL(interest_want(interest, slice_str(room), wanted), ERR_OK);
}

/* Whether the next command is this one. */
static bool next_is(struct interest *interest, const char *room, bool subscribe)
{
    struct interest_room *next = interest_next(interest);
    return next != NULL && next->asked == subscribe &&
           slice_equals_str(interest_room_name(next), room);
}

static bool confirm(struct interest *interest, const char *room)
{
    return interest_confirm(interest, slice_str(room));
}

static bool awaited(struct interest *interest, const char *room)
{
    return interest_is_awaited(interest, slice_str(room));
}

static void room_stands_once_confirmed(void)
{
    struct interest interest;
    interest_init(&interest);
    want(&interest, "a", true);
    CU_ASSERT_TRUE(awaited(&interest, "a"));
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    CU_ASSERT_PTR_NULL(interest_next(&interest));
    CU_ASSERT_TRUE(awaited(&interest, "a"));
    CU_ASSERT_TRUE(confirm(&interest, "a"));
    CU_ASSERT_FALSE(awaited(&interest, "a"));
    CU_ASSERT_EQUAL(interest.standing, 1);
    interest_fini(&interest);
}

static void coming_and_going_in_one_turn_costs_nothing(void)
{
    struct interest interest;
    interest_init(&interest);
    want(&interest, "a", true);
    want(&interest, "a", false);
    CU_ASSERT_PTR_NULL(interest_next(&interest));
    CU_ASSERT_EQUAL(interest.rooms.count, 0);
    want(&interest, "b", true);
    CU_ASSERT_TRUE(next_is(&interest, "b", true));
    want(&interest, "b", false);
    want(&interest, "b", true);
    CU_ASSERT_PTR_NULL(interest_next(&interest));
    CU_ASSERT_TRUE(confirm(&interest, "b"));
    interest_fini(&interest);
}

/* SUBSCRIBE, UNSUBSCRIBE and SUBSCRIBE are under way: only the third answer makes it stand. */
static void only_the_last_command_counts(void)
{
    struct interest interest;
    interest_init(&interest);
    want(&interest, "a", true);
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    want(&interest, "a", false);
    CU_ASSERT_TRUE(next_is(&interest, "a", false));
    want(&interest, "a", true);
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    CU_ASSERT_FALSE(confirm(&interest, "a"));
    CU_ASSERT_FALSE(confirm(&interest, "a"));
    CU_ASSERT_TRUE(awaited(&interest, "a"));
    CU_ASSERT_TRUE(confirm(&interest, "a"));
    CU_ASSERT_FALSE(confirm(&interest, "a"));
    CU_ASSERT_EQUAL(interest.standing, 1);
    interest_fini(&interest);
}

static void room_is_forgotten_once_its_end_is_confirmed(void)
{
    struct interest interest;
    interest_init(&interest);
    want(&interest, "a", true);
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    CU_ASSERT_TRUE(confirm(&interest, "a"));
    want(&interest, "a", false);
    CU_ASSERT_FALSE(awaited(&interest, "a"));
    CU_ASSERT_TRUE(next_is(&interest, "a", false));
    CU_ASSERT_EQUAL(interest.standing, 0);
    CU_ASSERT_EQUAL(interest.rooms.count, 1);
    CU_ASSERT_FALSE(confirm(&interest, "a"));
    CU_ASSERT_EQUAL(interest.rooms.count, 0);
    CU_ASSERT_FALSE(confirm(&interest, "a"));
    interest_fini(&interest);
}

static void a_loss_asks_for_all_again(void)
{
    struct interest interest;
    interest_init(&interest);
    want(&interest, "a", true);
    want(&interest, "b", true);
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    CU_ASSERT_TRUE(next_is(&interest, "b", true));
    CU_ASSERT_TRUE(confirm(&interest, "a"));
    CU_ASSERT_TRUE(confirm(&interest, "b"));
    want(&interest, "b", false);
    CU_ASSERT_TRUE(next_is(&interest, "b", false));
    interest_reset(&interest);
    CU_ASSERT_EQUAL(interest.rooms.count, 1);
    CU_ASSERT_EQUAL(interest.standing, 0);
    CU_ASSERT_TRUE(awaited(&interest, "a"));
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    CU_ASSERT_PTR_NULL(interest_next(&interest));
    interest_fini(&interest);
}

static void the_first_rooms_of_a_connection_are_counted(void)
{
    struct interest interest;
    interest_init(&interest);
    want(&interest, "a", true);
    want(&interest, "b", true);
    want(&interest, "c", true);
    interest_begin(&interest);
    want(&interest, "d", true);
    CU_ASSERT_EQUAL(interest.first_left, 3);
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    want(&interest, "b", false);
    CU_ASSERT_EQUAL(interest.first_left, 1);
    CU_ASSERT_TRUE(next_is(&interest, "c", true));
    CU_ASSERT_EQUAL(interest.first_left, 0);
    CU_ASSERT_TRUE(next_is(&interest, "d", true));
    interest_fini(&interest);
}

static void memory_goes_back_after_many_rooms(void)
{
    struct interest interest;
    char room[16];
    interest_init(&interest);
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(room, sizeof room, "%u", i);
        want(&interest, room, true);
    }
    while (interest_next(&interest) != NULL)
        continue;
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(room, sizeof room, "%u", i);
        confirm(&interest, room);
        want(&interest, room, false);
    }
    while (interest_next(&interest) != NULL)
        continue;
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(room, sizeof room, "%u", i);
        confirm(&interest, room);
    }
    CU_ASSERT_EQUAL(interest.rooms.count, 0);
    CU_ASSERT(interest.rooms.cap <= 16);
    interest_fini(&interest);
}

static void says_when_there_is_no_memory(void)
{
    for (unsigned nth = 1; nth <= 2; nth++) {
        struct interest interest;
        interest_init(&interest);
        mem_fail_after(nth);
        CU_ASSERT_EQUAL(interest_want(&interest, slice_str("a"), true), ERR_NOMEM);
        mem_fail_after(0);
        CU_ASSERT_PTR_NULL(interest_next(&interest));
        want(&interest, "a", true);
        CU_ASSERT_TRUE(next_is(&interest, "a", true));
        interest_fini(&interest);
    }
}

CU_TestInfo interest_tests[] = {
    {"room_stands_once_confirmed", room_stands_once_confirmed},
    {"coming_and_going_in_one_turn_costs_nothing", coming_and_going_in_one_turn_costs_nothing},
    {"only_the_last_command_counts", only_the_last_command_counts},
    {"room_is_forgotten_once_its_end_is_confirmed", room_is_forgotten_once_its_end_is_confirmed},
    {"a_loss_asks_for_all_again", a_loss_asks_for_all_again},
    {"the_first_rooms_of_a_connection_are_counted", the_first_rooms_of_a_connection_are_counted},
    {"memory_goes_back_after_many_rooms", memory_goes_back_after_many_rooms},
    {"says_when_there_is_no_memory", says_when_there_is_no_memory},
    CU_TEST_INFO_NULL,
};
