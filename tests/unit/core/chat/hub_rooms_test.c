#include "core/chat/hub.h"

#include <CUnit/CUnit.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "tests/support/chat_peer.h"

/* --- interest --- */

struct changes {
    char text[256];
};

static void note_change(void *arg, struct slice room, bool wanted)
{
    struct changes *changes = arg;
    size_t len = strlen(changes->text);
    (void)snprintf(changes->text + len, sizeof changes->text - len, "%c%.*s ", wanted ? '+' : '-',
                   (int)room.len, room.ptr);
}

static void takes(struct chat *chat, const char *expected)
{
    struct changes changes = {""};
    hub_take_interest(chat->hub, note_change, &changes);
    CU_ASSERT_STRING_EQUAL(changes.text, expected);
}

static void enter(struct chat *chat, struct peer *peer, const char *room)
{
    CU_ASSERT_EQUAL_FATAL(peer_admit(chat, peer, room), ERR_OK);
}

static void leave(struct chat *chat, struct peer *peer)
{
    client_abandon(peer->client);
    chat_settle(chat);
}

static void changes_of_interest_come_in_order(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(2);
    struct peer a, b, c, more;
    chat_start(&chat, &opts);
    takes(&chat, "");
    CU_ASSERT_EQUAL(atomic_load(&chat.interest_calls), 0);
    enter(&chat, &a, "a");
    CU_ASSERT_EQUAL(atomic_load(&chat.interest_calls), 1);
    enter(&chat, &b, "b");
    enter(&chat, &more, "a"); /* the second member changes nothing */
    enter(&chat, &c, NULL);
    CU_ASSERT_EQUAL(atomic_load(&chat.interest_calls), 2);
    takes(&chat, "+a +b ");
    takes(&chat, "");
    leave(&chat, &a);
    takes(&chat, "");
    leave(&chat, &b);
    leave(&chat, &more);
    takes(&chat, "-b -a ");
    leave(&chat, &c);
    takes(&chat, "");
    CU_ASSERT_EQUAL(atomic_load(&chat.interest_calls), 4);
    chat_stop(&chat);
}

static void changes_that_cancel_out_are_not_told(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer a, b;
    chat_start(&chat, &opts);
    enter(&chat, &a, "a");
    enter(&chat, &b, "b");
    leave(&chat, &a);
    takes(&chat, "+b ");
    enter(&chat, &a, "a");
    leave(&chat, &a);
    enter(&chat, &a, "a");
    takes(&chat, "+a ");
    /* Gone and there again: the last word counts. */
    leave(&chat, &a);
    enter(&chat, &a, "a");
    takes(&chat, "-a +a ");
    leave(&chat, &a);
    leave(&chat, &b);
    chat_stop(&chat); /* with two changes that nobody took */
}

static void a_subscription_is_remembered_by_the_room(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer a;
    chat_start(&chat, &opts);
    enter(&chat, &a, "a");
    struct room *room = hub_find_room(chat.hub, slice_str("a"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(room);
    CU_ASSERT_FALSE(atomic_load(&room->subscribed));
    hub_mark_subscribed(chat.hub, slice_str("b")); /* which is gone already */
    CU_ASSERT_FALSE(atomic_load(&room->subscribed));
    hub_mark_subscribed(chat.hub, slice_str("a"));
    CU_ASSERT_TRUE(atomic_load(&room->subscribed));
    room_release(room);
    leave(&chat, &a);
    chat_stop(&chat);
}

/* --- statistics --- */

static int descending(const void *a, const void *b)
{
    return *(const int *)b - *(const int *)a;
}

static void the_largest_rooms_are_listed(void)
{
    enum { ROOMS = 40, CLIENTS = 400 };
    static struct peer peers[CLIENTS];
    int sizes[ROOMS] = {0};
    struct hub_room_count *out = mem_zalloc(sizeof *out * (ROOMS + 1));
    struct chat chat;
    struct hub_opts opts = chat_opts(2);
    uint32_t random = 5;
    chat_start(&chat, &opts);
    for (int i = 0; i < CLIENTS; i++) {
        char name[16];
        random = random * 1664525u + 1013904223u;
        uint32_t room =
            i < ROOMS ? (uint32_t)i : (random >> 16) % ROOMS * ((random >> 8) % ROOMS) / ROOMS;
        (void)snprintf(name, sizeof name, "room-%u", room);
        enter(&chat, &peers[i], name);
        sizes[room]++;
    }
    for (size_t max = 0; max <= ROOMS + 1; max++) {
        int sorted[ROOMS];
        size_t total = 0, count = hub_list_rooms(chat.hub, out, max, &total);
        memcpy(sorted, sizes, sizeof sizes);
        qsort(sorted, ROOMS, sizeof *sorted, descending);
        CU_ASSERT_EQUAL(total, ROOMS);
        CU_ASSERT_EQUAL(count, max < ROOMS ? max : ROOMS);
        for (size_t i = 0; i < count; i++) {
            char name[ROOM_NAME_MAX + 1] = "";
            memcpy(name, out[i].name, out[i].name_len);
            CU_ASSERT_EQUAL((int)out[i].members, sorted[i]);
            CU_ASSERT_EQUAL(sizes[strtol(name + strlen("room-"), NULL, 10)], sorted[i]);
        }
    }
    CU_ASSERT_EQUAL(chat_stats(&chat).members, CLIENTS);
    CU_ASSERT_EQUAL(chat_stats(&chat).rooms, ROOMS);
    for (int i = 0; i < CLIENTS; i++)
        client_abandon(peers[i].client);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    CU_ASSERT_EQUAL(chat_stats(&chat).members, 0);
    mem_free(out);
    chat_stop(&chat);
}

static void what_happens_is_counted(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer a, b;
    chat_start(&chat, &opts);
    peer_join(&chat, &a, "lobby");
    peer_join(&chat, &b, "lobby");
    CU_ASSERT_TRUE(peer_say(&a, "12345"));
    CU_ASSERT_TRUE(peer_hears(&a, "12345"));
    CU_ASSERT_TRUE(peer_hears(&b, "12345"));
    chat_settle(&chat);
    struct hub_stats stats = chat_stats(&chat);
    CU_ASSERT_EQUAL(stats.connections, 2);
    CU_ASSERT_EQUAL(stats.members, 2);
    CU_ASSERT_EQUAL(counter_get(&stats.counters.connections_total), 2);
    CU_ASSERT_EQUAL(counter_get(&stats.counters.messages_received_total), 1);
    CU_ASSERT_EQUAL(counter_get(&stats.counters.messages_delivered_total), 2);
    CU_ASSERT_EQUAL(counter_get(&stats.counters.bytes_received_total), 6 + 5);
    CU_ASSERT_EQUAL(counter_get(&stats.counters.bytes_sent_total), 2 * (2 + 5));
    uint64_t observed = 0;
    for (int i = 0; i < LATENCY_BUCKETS; i++)
        observed += counter_get(&stats.counters.latency_buckets[i]);
    CU_ASSERT_EQUAL(observed, 2);
    peer_leave(&a);
    peer_leave(&b);
    chat_stop(&chat);
}

static void expect_names(struct chat *chat, const char *prefix, const char *after, size_t max,
                         const char *names)
{
    struct hub_room_count rooms[8];
    char seen[64] = "";
    struct slice behind = after != NULL ? slice_str(after) : SLICE_NONE;
    size_t count = hub_list_rooms_by_name(chat->hub, slice_str(prefix), behind, rooms, max);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(seen);
        (void)snprintf(seen + len, sizeof seen - len, "%.*s=%u ", (int)rooms[i].name_len,
                       rooms[i].name, rooms[i].members);
    }
    if (strcmp(seen, names) != 0)
        CU_FAIL(names);
}

static void rooms_are_listed_by_name(void)
{
    static const char *const names[] = {"b", "ab", "a", "ab", "abc", "B"};
    enum { COUNT = sizeof names / sizeof *names };
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peers[COUNT];
    chat_start(&chat, &opts);
    for (size_t i = 0; i < COUNT; i++)
        CU_ASSERT_EQUAL(peer_admit(&chat, &peers[i], names[i]), ERR_OK);
    expect_names(&chat, "", NULL, 8, "B=1 a=1 ab=2 abc=1 b=1 ");
    expect_names(&chat, "", NULL, 5, "B=1 a=1 ab=2 abc=1 b=1 ");
    expect_names(&chat, "", NULL, 4, "B=1 a=1 ab=2 abc=1 ");
    expect_names(&chat, "", NULL, 1, "B=1 ");
    expect_names(&chat, "", NULL, 0, "");
    expect_names(&chat, "", "B", 2, "a=1 ab=2 ");
    expect_names(&chat, "", "aa", 2, "ab=2 abc=1 ");
    expect_names(&chat, "", "b", 8, "");
    expect_names(&chat, "a", NULL, 8, "a=1 ab=2 abc=1 ");
    expect_names(&chat, "ab", "ab", 8, "abc=1 ");
    expect_names(&chat, "x", NULL, 8, "");
    for (size_t i = 0; i < COUNT; i++)
        client_abandon(peers[i].client);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_stop(&chat);
}

CU_TestInfo hub_rooms_tests[] = {
    {"changes_of_interest_come_in_order", changes_of_interest_come_in_order},
    {"changes_that_cancel_out_are_not_told", changes_that_cancel_out_are_not_told},
    {"a_subscription_is_remembered_by_the_room", a_subscription_is_remembered_by_the_room},
    {"the_largest_rooms_are_listed", the_largest_rooms_are_listed},
    {"rooms_are_listed_by_name", rooms_are_listed_by_name},
    {"what_happens_is_counted", what_happens_is_counted},
    CU_TEST_INFO_NULL,
};
