#include "core/bus/interest.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

#include "core/base/mem.h"

extern CU_TestInfo interest_tests[];

static void want(struct interest *interest, const char *room, bool wanted)
{
    CU_ASSERT_EQUAL(interest_want(interest, slice_str(room), wanted), ERR_OK);
}

/* Whether the next command is this one; its answer gets this number. */
static bool next_numbered_is(struct interest *interest, uint64_t answer, const char *room,
                             bool subscribe)
{
    struct interest_room *next = interest_next(interest, answer);
    return next != NULL && next->wanted == subscribe &&
           slice_equals_str(interest_room_name(next), room);
}

static bool next_is(struct interest *interest, const char *room, bool subscribe)
{
    return next_numbered_is(interest, 0, room, subscribe);
}

static bool nothing_is_next(struct interest *interest)
{
    return interest_next(interest, 0) == NULL;
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
    CU_ASSERT_TRUE(nothing_is_next(&interest));
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
    CU_ASSERT_TRUE(nothing_is_next(&interest));
    CU_ASSERT_EQUAL(interest.rooms.count, 0);
    want(&interest, "b", true);
    CU_ASSERT_TRUE(next_is(&interest, "b", true));
    want(&interest, "b", false);
    want(&interest, "b", true);
    CU_ASSERT_TRUE(nothing_is_next(&interest));
    CU_ASSERT_TRUE(confirm(&interest, "b"));
    interest_fini(&interest);
}

static void a_room_has_one_command_under_way(void)
{
    struct interest interest;
    interest_init(&interest);
    want(&interest, "a", true);
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    want(&interest, "a", false);
    CU_ASSERT_TRUE(nothing_is_next(&interest));
    CU_ASSERT_TRUE(confirm(&interest, "a"));
    CU_ASSERT_TRUE(next_is(&interest, "a", false));
    want(&interest, "a", true);
    CU_ASSERT_TRUE(nothing_is_next(&interest));
    CU_ASSERT_FALSE(confirm(&interest, "a"));
    CU_ASSERT_TRUE(awaited(&interest, "a"));
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    CU_ASSERT_TRUE(confirm(&interest, "a"));
    CU_ASSERT_FALSE(confirm(&interest, "a"));
    CU_ASSERT_EQUAL(interest.standing, 1);
    interest_fini(&interest);
}

/* Refuses the room whose answer this is; false when it is no SUBSCRIBE's. */
static bool refuse(struct interest *interest, uint64_t answer, uint64_t told_ms)
{
    struct interest_room *room = interest_find_asked(interest, answer);
    if (room != NULL)
        interest_refuse(interest, room, told_ms);
    return room != NULL;
}

static bool next_refused_is(struct interest *interest, uint64_t now_ms, const char *room)
{
    const struct interest_room *next = interest_next_refused(interest, now_ms);
    return next != NULL && slice_equals_str(interest_room_name(next), room);
}

static void a_refusal_is_about_the_room_of_its_answer(void)
{
    struct interest interest;
    interest_init(&interest);
    want(&interest, "a", true);
    want(&interest, "b", true);
    want(&interest, "c", true);
    CU_ASSERT_TRUE(next_numbered_is(&interest, 0, "a", true));
    CU_ASSERT_TRUE(next_numbered_is(&interest, 1, "b", true));
    CU_ASSERT_TRUE(next_numbered_is(&interest, 3, "c", true)); /* 2 is of something else */
    CU_ASSERT_TRUE(confirm(&interest, "a"));
    CU_ASSERT_TRUE(refuse(&interest, 1, 9));
    CU_ASSERT_FALSE(refuse(&interest, 2, 9));
    CU_ASSERT_TRUE(interest_is_refused(&interest, slice_str("b")));
    CU_ASSERT_FALSE(awaited(&interest, "b"));
    CU_ASSERT_FALSE(confirm(&interest, "b"));
    CU_ASSERT_TRUE(confirm(&interest, "c"));
    CU_ASSERT_EQUAL(interest.standing, 2);
    CU_ASSERT_TRUE(nothing_is_next(&interest));
    interest_fini(&interest);
}

static void an_end_is_not_refused(void)
{
    struct interest interest;
    interest_init(&interest);
    want(&interest, "a", true);
    CU_ASSERT_TRUE(next_numbered_is(&interest, 0, "a", true));
    CU_ASSERT_TRUE(confirm(&interest, "a"));
    want(&interest, "a", false);
    CU_ASSERT_TRUE(next_numbered_is(&interest, 1, "a", false));
    CU_ASSERT_FALSE(refuse(&interest, 1, 9));
    interest_fini(&interest);
}

static void a_refused_room_is_told_once_while_it_is_wanted(void)
{
    struct interest interest;
    interest_init(&interest);
    static const char *const rooms[] = {"a", "b", "c"};
    for (uint64_t i = 0; i < 3; i++) {
        want(&interest, rooms[i], true);
        CU_ASSERT_TRUE(next_numbered_is(&interest, i, rooms[i], true));
        CU_ASSERT_TRUE(refuse(&interest, i, 10 + i));
    }
    want(&interest, "a", false);
    CU_ASSERT_EQUAL(interest_next_refused_ms(&interest), 11);
    CU_ASSERT_PTR_NULL(interest_next_refused(&interest, 10));
    CU_ASSERT_TRUE(next_refused_is(&interest, 11, "b"));
    CU_ASSERT_PTR_NULL(interest_next_refused(&interest, 11));
    CU_ASSERT_TRUE(next_refused_is(&interest, 12, "c"));
    CU_ASSERT_EQUAL(interest_next_refused_ms(&interest), UINT64_MAX);
    CU_ASSERT_TRUE(interest_is_refused(&interest, slice_str("c")));
    CU_ASSERT_EQUAL(interest.rooms.count, 2);
    interest_fini(&interest);
}

static void a_refused_room_is_asked_for_anew(void)
{
    struct interest interest;
    interest_init(&interest);
    want(&interest, "a", true);
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    CU_ASSERT_TRUE(refuse(&interest, 0, 9));
    want(&interest, "a", true);
    CU_ASSERT_TRUE(nothing_is_next(&interest));
    want(&interest, "a", false);
    CU_ASSERT_EQUAL(interest.rooms.count, 0);
    want(&interest, "a", true);
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    CU_ASSERT_TRUE(refuse(&interest, 0, 9));
    interest_reset(&interest);
    CU_ASSERT_EQUAL(interest_next_refused_ms(&interest), UINT64_MAX);
    CU_ASSERT_TRUE(next_is(&interest, "a", true));
    want(&interest, "a", false); /* nobody is there when it is refused */
    CU_ASSERT_TRUE(refuse(&interest, 0, 9));
    CU_ASSERT_EQUAL(interest.rooms.count, 0);
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
    CU_ASSERT_TRUE(nothing_is_next(&interest));
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
    while (!nothing_is_next(&interest))
        continue;
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(room, sizeof room, "%u", i);
        confirm(&interest, room);
        want(&interest, room, false);
    }
    while (!nothing_is_next(&interest))
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
        CU_ASSERT_TRUE(nothing_is_next(&interest));
        want(&interest, "a", true);
        CU_ASSERT_TRUE(next_is(&interest, "a", true));
        interest_fini(&interest);
    }
}

CU_TestInfo interest_tests[] = {
    {"room_stands_once_confirmed", room_stands_once_confirmed},
    {"coming_and_going_in_one_turn_costs_nothing", coming_and_going_in_one_turn_costs_nothing},
    {"a_room_has_one_command_under_way", a_room_has_one_command_under_way},
    {"a_refusal_is_about_the_room_of_its_answer", a_refusal_is_about_the_room_of_its_answer},
    {"an_end_is_not_refused", an_end_is_not_refused},
    {"a_refused_room_is_told_once_while_it_is_wanted",
     a_refused_room_is_told_once_while_it_is_wanted},
    {"a_refused_room_is_asked_for_anew", a_refused_room_is_asked_for_anew},
    {"room_is_forgotten_once_its_end_is_confirmed", room_is_forgotten_once_its_end_is_confirmed},
    {"a_loss_asks_for_all_again", a_loss_asks_for_all_again},
    {"the_first_rooms_of_a_connection_are_counted", the_first_rooms_of_a_connection_are_counted},
    {"memory_goes_back_after_many_rooms", memory_goes_back_after_many_rooms},
    {"says_when_there_is_no_memory", says_when_there_is_no_memory},
    CU_TEST_INFO_NULL,
};
