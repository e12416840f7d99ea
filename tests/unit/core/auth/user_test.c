#include "core/auth/user.h"

#include <CUnit/CUnit.h>

#include "core/base/mem.h"

static const struct user anna = {.id = {.ptr = "anna", .len = 4}};

static struct user *user_with(const struct grant *grants, size_t count)
{
    struct user from = {
        .id = slice_str("anna"), .has_grants = true, .grants_count = count, .grants = grants};
    struct user *user = user_try_create(&from);
    CU_ASSERT_PTR_NOT_NULL_FATAL(user);
    return user;
}

#define BOTH (USER_JOIN | USER_PUBLISH)

static void is_a_copy_of_all_that_it_was_made_of(void)
{
    char text[] = "anna\0Anna A.channel:*";
    struct grant grants[] = {{slice_of(text + 12, 9), USER_JOIN}};
    struct user from = {.scopes = USER_SCOPE_ADMIN,
                        .expires_ms = 77,
                        .id = slice_of(text, 4),
                        .name = slice_of(text + 5, 7),
                        .has_grants = true,
                        .grants_count = 1,
                        .grants = grants};
    struct user *user = user_try_create(&from);
    CU_ASSERT_PTR_NOT_NULL_FATAL(user);
    memset(text, 'x', sizeof text);
    CU_ASSERT_TRUE(slice_equals_str(user->id, "anna"));
    CU_ASSERT_TRUE(slice_equals_str(user->name, "Anna A."));
    CU_ASSERT_EQUAL(user->expires_ms, 77);
    CU_ASSERT_TRUE(user_has_scope(user, USER_SCOPE_ADMIN));
    CU_ASSERT_FALSE(user_has_scope(user, USER_SCOPE_PUBLISH));
    CU_ASSERT_FALSE(user_has_scope(NULL, USER_SCOPE_PUBLISH));
    CU_ASSERT_TRUE(user_may_join(user, slice_str("channel:1")));
    CU_ASSERT_PTR_EQUAL(user_retain(user), user);
    user_release(user);
    CU_ASSERT_TRUE(slice_equals_str(user->id, "anna"));
    user_release(user);
    user_release(NULL);
}

static void without_memory_there_is_none(void)
{
    mem_fail_after(1);
    CU_ASSERT_PTR_NULL(user_try_create(&anna));
    mem_fail_after(0);
}

static void ids_are_the_names_of_rooms_with_room_for_a_prefix(void)
{
    char longest[USER_ID_MAX + 1];
    memset(longest, 'a', sizeof longest);
    CU_ASSERT_PTR_NULL(user_check_id(slice_of(longest, USER_ID_MAX)));
    CU_ASSERT_PTR_NOT_NULL(user_check_id(slice_of(longest, USER_ID_MAX + 1)));
    static const char *const good[] = {
        "a",      "anna@example.org", "auth0|123", "ä ö",     "a:b",  "*",
        "Server", "SERVER",           "servers",   "server ", "serve"};
    static const char *const bad[] = {"",      "a/b",          "/",        "a\nb",
                                      "a\x7F", "\x01",         "\xC2\x85", "\xFF",
                                      "\xC3",  "\xED\xA0\x80", "a\tb\r",   "server"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (user_check_id(slice_str(good[i])) != NULL)
            CU_FAIL(good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (user_check_id(slice_str(bad[i])) == NULL)
            CU_FAIL(bad[i]);
    CU_ASSERT_PTR_NOT_NULL(user_check_id(slice_of("a\0b", 3)));
}

/* One line of a table: who, which room, what is allowed. */
struct right {
    const char *room; /* NULL: everybody */
    bool join, publish;
};

static void assert_rights(const struct user *user, const struct right *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].room != NULL && user_may_join(user, slice_str(rows[i].room)) != rows[i].join)
            CU_FAIL(rows[i].room);
        if (user_may_publish(user, slice_str(rows[i].room)) != rows[i].publish)
            CU_FAIL(rows[i].room != NULL ? rows[i].room : "(everybody)");
    }
}

#define ASSERT_RIGHTS(user, rows) assert_rights(user, rows, sizeof(rows) / sizeof *(rows))

static void without_grants_all_is_allowed_but_the_rooms_of_users(void)
{
    static const struct right rows[] = {
        {"lobby", true, true},        {NULL, false, true},
        {"channel:1", true, true},    {"presence:global", true, true},
        {"user:anna", true, false},   {"user:ann", false, false},
        {"user:annaa", false, false}, {"user:", false, false},
        {"user:Anna", false, false},  {"user", true, true},
        {"users:x", true, true},
    };
    ASSERT_RIGHTS(&anna, rows);
}

static void without_a_token_all_is_allowed_but_the_rooms_of_users(void)
{
    static const struct right rows[] = {
        {"lobby", true, true},
        {NULL, false, true},
        {"user:anna", false, false},
        {"user:", false, false},
    };
    ASSERT_RIGHTS(NULL, rows);
}

static void with_grants_only_what_one_of_them_allows(void)
{
    static const struct grant grants[] = {{{"channel:*", 9}, BOTH},
                                          {{"news", 4}, USER_JOIN},
                                          {{"box", 3}, USER_PUBLISH},
                                          {{"none", 4}, 0}};
    static const struct right rows[] = {
        {"channel:1", true, true},  {"news", true, false},
        {"box", false, true},       {"none", false, false},
        {"lobby", false, false},    {NULL, false, false},
        {"user:anna", true, false}, {"presence:global", true, false},
    };
    struct user *user = user_with(grants, sizeof grants / sizeof *grants);
    ASSERT_RIGHTS(user, rows);
    user_release(user);
}

static void no_grant_opens_the_rooms_of_users(void)
{
    static const struct grant grants[] = {
        {{"*", 1}, BOTH}, {{"user:*", 6}, BOTH}, {{"user:ben", 8}, BOTH}};
    static const struct right rows[] = {
        {"lobby", true, true},
        {NULL, false, true},
        {"user:ben", false, false},
        {"user:anna", true, false},
    };
    struct user *user = user_with(grants, sizeof grants / sizeof *grants);
    ASSERT_RIGHTS(user, rows);
    user_release(user);
}

static void an_empty_list_of_grants_allows_nothing_but_the_own_room(void)
{
    static const struct right rows[] = {
        {"lobby", false, false}, {NULL, false, false}, {"user:anna", true, false}};
    struct user *user = user_with(NULL, 0);
    ASSERT_RIGHTS(user, rows);
    user_release(user);
}

CU_TestInfo user_tests[] = {
    {"is_a_copy_of_all_that_it_was_made_of", is_a_copy_of_all_that_it_was_made_of},
    {"without_memory_there_is_none", without_memory_there_is_none},
    {"ids_are_the_names_of_rooms_with_room_for_a_prefix",
     ids_are_the_names_of_rooms_with_room_for_a_prefix},
    {"without_grants_all_is_allowed_but_the_rooms_of_users",
     without_grants_all_is_allowed_but_the_rooms_of_users},
    {"without_a_token_all_is_allowed_but_the_rooms_of_users",
     without_a_token_all_is_allowed_but_the_rooms_of_users},
    {"with_grants_only_what_one_of_them_allows", with_grants_only_what_one_of_them_allows},
    {"no_grant_opens_the_rooms_of_users", no_grant_opens_the_rooms_of_users},
    {"an_empty_list_of_grants_allows_nothing_but_the_own_room",
     an_empty_list_of_grants_allows_nothing_but_the_own_room},
    CU_TEST_INFO_NULL,
};
