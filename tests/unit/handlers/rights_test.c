#include "handlers/rights.h"

#include <CUnit/CUnit.h>

#include "core/auth/user.h"

static const struct user anna = {.id = {.ptr = "anna", .len = 4}};
static const struct user bound = {.id = {.ptr = "anna", .len = 4}, .has_grants = true};

static bool may_join(const char *room, const struct user *user, const char *id, bool events)
{
    struct fault fault = rights_check_join(slice_str(room), user, slice_str(id), events);
    CU_ASSERT_TRUE(fault.code == FAULT_NONE || fault.code == FAULT_CHANNEL_ERROR);
    CU_ASSERT_EQUAL(fault.code == FAULT_NONE, fault.message == NULL);
    return fault.code == FAULT_NONE;
}

static bool may_publish(const char *room, const struct user *user)
{
    struct fault fault = rights_check_publish(slice_str(room), user);
    CU_ASSERT_TRUE(fault.code == FAULT_NONE || fault.code == FAULT_CHANNEL_ERROR);
    return fault.code == FAULT_NONE;
}

static void a_users_room_is_its_own(void)
{
    CU_ASSERT_TRUE(may_join("user:anna", &anna, "anna", false));
    CU_ASSERT_TRUE(may_join("user:anna", &bound, "anna", false));
    CU_ASSERT_FALSE(may_join("user:ben", &anna, "anna", true));
    CU_ASSERT_FALSE(may_join("user:", &anna, "anna", false));
    CU_ASSERT_TRUE(may_join("user:client-1", NULL, "client-1", true));
    CU_ASSERT_FALSE(may_join("user:client-2", NULL, "client-1", true));
    CU_ASSERT_FALSE(may_join("user:client-1", NULL, NULL, true));
    CU_ASSERT_FALSE(may_publish("user:anna", &anna));
    CU_ASSERT_FALSE(may_publish("user:anna", NULL));
}

static void presence_of_all_is_for_events_clients(void)
{
    CU_ASSERT_TRUE(may_join("presence:global", &bound, "anna", true));
    CU_ASSERT_TRUE(may_join("presence:global", NULL, NULL, true));
    CU_ASSERT_FALSE(may_join("presence:global", &anna, "anna", false));
}

static bool may_leave(const char *room, const struct user *user, const char *id, bool events)
{
    struct fault fault = rights_check_leave(slice_str(room), user, slice_str(id), events);
    CU_ASSERT_TRUE(fault.code == FAULT_NONE || fault.code == FAULT_CHANNEL_ERROR);
    return fault.code == FAULT_NONE;
}

static void the_room_by_which_a_user_is_found_is_not_left(void)
{
    CU_ASSERT_FALSE(may_leave("user:anna", &anna, "anna", true));
    CU_ASSERT_FALSE(may_leave("user:anna", &bound, "anna", false));
    CU_ASSERT_FALSE(may_leave("user:client-1", NULL, "client-1", true));
    CU_ASSERT_TRUE(may_leave("user:client-1", NULL, "client-1", false));
    CU_ASSERT_TRUE(may_leave("user:ben", &anna, "anna", true));
    CU_ASSERT_TRUE(may_leave("user:", &anna, "anna", true));
    CU_ASSERT_TRUE(may_leave("anna", &anna, "anna", true));
    CU_ASSERT_TRUE(may_leave("lobby", &bound, "anna", true));
}

static void other_rooms_go_by_the_token(void)
{
    CU_ASSERT_TRUE(may_join("lobby", NULL, NULL, false));
    CU_ASSERT_TRUE(may_join("lobby", &anna, "anna", false));
    CU_ASSERT_FALSE(may_join("lobby", &bound, "anna", false));
    CU_ASSERT_TRUE(may_publish("lobby", NULL));
    CU_ASSERT_TRUE(may_publish(NULL, &anna));
    CU_ASSERT_FALSE(may_publish("lobby", &bound));
    CU_ASSERT_FALSE(may_publish(NULL, &bound));
}

CU_TestInfo rights_tests[] = {
    {"a_users_room_is_its_own", a_users_room_is_its_own},
    {"the_room_by_which_a_user_is_found_is_not_left",
     the_room_by_which_a_user_is_found_is_not_left},
    {"presence_of_all_is_for_events_clients", presence_of_all_is_for_events_clients},
    {"other_rooms_go_by_the_token", other_rooms_go_by_the_token},
    CU_TEST_INFO_NULL,
};
