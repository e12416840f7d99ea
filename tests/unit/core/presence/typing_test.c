/* The rules of typing, with a clock of the test's own. */
#include "core/presence/typing.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

#include "core/base/buf.h"

extern CU_TestInfo typing_tests[];

/* What was told: "ann+ ann-"; what other pods said: "ann+~". */
static struct buf told;
static struct typing typing;

static void on_tell(void *arg, const struct typing_word *word)
{
    struct slice room = word->room, user = word->user;
    (void)arg;
    CU_ASSERT_TRUE(slice_equals_str(word->client, "c1") || slice_equals_str(word->client, ""));
    buf_printf(&told, " %.*s/%.*s%c%s", (int)room.len, room.ptr, (int)user.len, user.ptr,
               word->typing ? '+' : '-', word->heard ? "~" : "");
}

static void begin(void)
{
    buf_init(&told, 4096);
    typing_init(&typing, NULL, on_tell);
}

static void end(void)
{
    typing_fini(&typing);
    buf_fini(&told);
}

static void expect(const char *expected)
{
    struct slice got = slice_of(told.len != 0 ? told.ptr : "", told.len);
    if (!slice_equals_str(got, expected))
        fprintf(stderr, "expected \"%s\", told \"%.*s\"\n", expected, (int)got.len, got.ptr);
    CU_ASSERT_TRUE(slice_equals_str(got, expected));
    buf_clear(&told);
}

static void type(const char *room, const char *user, uint64_t now_ms)
{
    typing_begin(&typing, slice_str(room), slice_str(user), slice_str("c1"), now_ms);
}

static void stop(const char *room, const char *user, const char *client, uint64_t now_ms)
{
    typing_end(&typing, slice_str(room), slice_str(user), slice_str(client), now_ms);
}

static void true_is_told_once_in_its_pause(void)
{
    begin();
    type("a", "ann", 1000);
    type("a", "ann", 1000 + TYPING_PAUSE_MS - 1);
    expect(" a/ann+");
    type("a", "ann", 1000 + TYPING_PAUSE_MS);
    expect(" a/ann+");
    end();
}

static void rooms_and_users_are_apart(void)
{
    begin();
    type("a", "ann", 1000);
    type("b", "ann", 1000);
    type("a", "bob", 1000);
    expect(" a/ann+ b/ann+ a/bob+");
    CU_ASSERT_EQUAL(typing.active_count, 3);
    stop("a", "ann", NULL, 1001);
    CU_ASSERT_FALSE(typing_is_active(&typing, slice_str("a"), slice_str("ann")));
    CU_ASSERT_TRUE(typing_is_active(&typing, slice_str("b"), slice_str("ann")));
    CU_ASSERT_FALSE(typing_is_active(&typing, slice_str("b"), slice_str("bob")));
    buf_clear(&told);
    end();
}

static void false_is_told_at_once(void)
{
    begin();
    type("a", "ann", 1000);
    stop("a", "ann", NULL, 1001);
    stop("a", "ann", NULL, 1002);
    expect(" a/ann+ a/ann-");
    CU_ASSERT_EQUAL(typing.active_count, 0);
    end();
}

static void false_without_true_is_no_news(void)
{
    begin();
    stop("a", "ann", NULL, 1000);
    expect("");
    end();
}

static void the_pause_outlives_a_false(void)
{
    begin();
    type("a", "ann", 1000);
    stop("a", "ann", NULL, 1500);
    type("a", "ann", 2000);
    stop("a", "ann", NULL, 2500);
    expect(" a/ann+ a/ann-");
    type("a", "ann", 1000 + TYPING_PAUSE_MS);
    expect(" a/ann+");
    end();
}

static void it_is_over_some_time_after_the_last_true(void)
{
    begin();
    type("a", "ann", 1000);
    type("a", "ann", 2000);
    expect(" a/ann+");
    CU_ASSERT_EQUAL(typing_next_ms(&typing), 2000 + TYPING_OVER_MS);
    typing_expire(&typing, 2000 + TYPING_OVER_MS - 1);
    expect("");
    typing_expire(&typing, 2000 + TYPING_OVER_MS);
    expect(" a/ann-");
    end();
}

static void another_client_leaving_ends_nothing(void)
{
    begin();
    type("a", "ann", 1000);
    stop("a", "ann", "c2", 1100);
    expect(" a/ann+");
    stop("a", "ann", "c1", 1200);
    expect(" a/ann-");
    end();
}

static void hear(const char *room, const char *user, bool is_typing, uint64_t now_ms)
{
    typing_hear(&typing, slice_str(room), slice_str(user), is_typing, now_ms);
}

static void the_pause_holds_over_all_pods(void)
{
    begin();
    hear("a", "ann", true, 1000);
    expect(" a/ann+~");
    hear("a", "ann", true, 1000 + TYPING_HEARD_PAUSE_MS - 1);
    type("a", "ann", 1000 + TYPING_PAUSE_MS - 1);
    expect("");
    type("a", "ann", 1000 + TYPING_PAUSE_MS);
    hear("a", "ann", true, 1001 + TYPING_PAUSE_MS);
    expect(" a/ann+");
    hear("a", "ann", false, 1002 + TYPING_PAUSE_MS);
    hear("a", "ann", false, 1003 + TYPING_PAUSE_MS);
    type("a", "ann", 1004 + TYPING_PAUSE_MS);
    expect(" a/ann-~");
    end();
}

static void what_is_heard_a_little_early_is_told(void)
{
    begin();
    hear("a", "ann", true, 1900); /* sent at 1000, the next one at 4000 */
    hear("a", "ann", false, 2000);
    hear("a", "ann", true, 4000);
    expect(" a/ann+~ a/ann-~ a/ann+~");
    end();
}

static void what_began_on_another_pod_ends_here(void)
{
    begin();
    hear("a", "ann", true, 1000);
    stop("a", "ann", "c1", 1100); /* a client that leaves, but did not type */
    expect(" a/ann+~");
    stop("a", "ann", NULL, 1200); /* a message */
    hear("a", "ann", false, 1300);
    expect(" a/ann-");
    end();
}

static void a_pod_that_falls_silent_types_no_more(void)
{
    begin();
    hear("a", "ann", true, 1000);
    hear("a", "ann", true, 1000 + TYPING_PAUSE_MS);
    expect(" a/ann+~ a/ann+~");
    CU_ASSERT_EQUAL(typing_next_ms(&typing), 1000 + TYPING_PAUSE_MS + TYPING_HEARD_MS);
    typing_expire(&typing, 1000 + TYPING_PAUSE_MS + TYPING_HEARD_MS - 1);
    expect("");
    typing_expire(&typing, 1000 + TYPING_PAUSE_MS + TYPING_HEARD_MS);
    expect(" a/ann-~");
    CU_ASSERT_EQUAL(typing.active_count, 0);
    end();
}

static void who_types_here_too_is_over_by_this_pods_word(void)
{
    begin();
    hear("a", "ann", true, 1000);
    type("a", "ann", 1500);
    hear("a", "ann", true, 2000);
    expect(" a/ann+~");
    typing_expire(&typing, 1500 + TYPING_OVER_MS);
    expect(" a/ann-");
    end();
}

static void nothing_is_kept_for_long(void)
{
    begin();
    type("a", "ann", 1000);
    stop("a", "ann", NULL, 1500);
    CU_ASSERT_EQUAL(typing_next_ms(&typing), 1500 + TYPING_PAUSE_MS);
    typing_expire(&typing, 1500 + TYPING_PAUSE_MS);
    CU_ASSERT_EQUAL(typing.typists.count, 0);
    CU_ASSERT_EQUAL(typing_next_ms(&typing), UINT64_MAX);
    end();
}

CU_TestInfo typing_tests[] = {
    {"true_is_told_once_in_its_pause", true_is_told_once_in_its_pause},
    {"rooms_and_users_are_apart", rooms_and_users_are_apart},
    {"false_is_told_at_once", false_is_told_at_once},
    {"false_without_true_is_no_news", false_without_true_is_no_news},
    {"the_pause_outlives_a_false", the_pause_outlives_a_false},
    {"it_is_over_some_time_after_the_last_true", it_is_over_some_time_after_the_last_true},
    {"another_client_leaving_ends_nothing", another_client_leaving_ends_nothing},
    {"the_pause_holds_over_all_pods", the_pause_holds_over_all_pods},
    {"what_is_heard_a_little_early_is_told", what_is_heard_a_little_early_is_told},
    {"what_began_on_another_pod_ends_here", what_began_on_another_pod_ends_here},
    {"a_pod_that_falls_silent_types_no_more", a_pod_that_falls_silent_types_no_more},
    {"who_types_here_too_is_over_by_this_pods_word", who_types_here_too_is_over_by_this_pods_word},
    {"nothing_is_kept_for_long", nothing_is_kept_for_long},
    CU_TEST_INFO_NULL,
};
