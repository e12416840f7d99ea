/* Messages of no use later: who is skipped, in the middle of what a turn brings; and rooms that are
 * watched without members. */
#include "core/chat/hub.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/chat_peer.h"

extern CU_TestInfo passing_tests[];

static void publish_passing(struct chat *chat, const char *text, struct slice except)
{
    struct room *room = hub_find_room(chat->hub, slice_str("lobby"));
    struct message *message = message_try_create(WS_TEXT, slice_str(text), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(room);
    CU_ASSERT_PTR_NOT_NULL_FATAL(message);
    hub_publish_passing(chat->hub, room, message, except);
    message_release(message);
    room_release(room);
}

static void who_is_excepted_gets_all_else_of_the_turn(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peers[2];
    chat_start(&chat, &opts);
    for (int i = 0; i < 2; i++)
        peer_join(&chat, &peers[i], "lobby");
    struct chat_gate *gate = chat_hold(&chat, 0);
    chat_publish(&chat, "lobby", "before");
    publish_passing(&chat, "passing", client_id(peers[0].client));
    chat_publish(&chat, "lobby", "behind");
    publish_passing(&chat, "for all", SLICE_NONE);
    chat_release(gate);
    CU_ASSERT_TRUE(peer_hears(&peers[0], "before"));
    CU_ASSERT_TRUE(peer_hears(&peers[0], "behind"));
    CU_ASSERT_TRUE(peer_hears(&peers[0], "for all"));
    CU_ASSERT_TRUE(peer_hears(&peers[1], "before"));
    CU_ASSERT_TRUE(peer_hears(&peers[1], "passing"));
    CU_ASSERT_TRUE(peer_hears(&peers[1], "behind"));
    CU_ASSERT_TRUE(peer_hears(&peers[1], "for all"));
    CU_ASSERT_EQUAL(chat_count(&chat, passing_dropped_total), 0);
    for (int i = 0; i < 2; i++)
        peer_leave(&peers[i]);
    chat_stop(&chat);
}

static void alone_and_excepted_one_gets_nothing(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    publish_passing(&chat, "passing", client_id(peer.client));
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    peer_leave(&peer);
    chat_stop(&chat);
}

/* A client whose socket has not come yet takes nothing: all that it gets waits for it. */
static void who_has_half_of_its_bound_waiting_is_skipped(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    opts.queue_messages = 4;
    chat_start(&chat, &opts);
    CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
    CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "1"));
    chat_settle(&chat);
    publish_passing(&chat, "with one waiting", SLICE_NONE);
    chat_settle(&chat);
    CU_ASSERT_EQUAL(chat_count(&chat, passing_dropped_total), 0);
    CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "3"));
    chat_settle(&chat);
    publish_passing(&chat, "with three waiting", SLICE_NONE);
    chat_settle(&chat);
    CU_ASSERT_EQUAL(chat_count(&chat, passing_dropped_total), 1);
    peer_attach(&peer, SLICE_NONE);
    CU_ASSERT_TRUE(peer_hears(&peer, "1"));
    CU_ASSERT_TRUE(peer_hears(&peer, "with one waiting"));
    CU_ASSERT_TRUE(peer_hears(&peer, "3"));
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    peer_leave(&peer);
    chat_stop(&chat);
}

static void note_change(void *arg, struct slice room, bool wanted)
{
    char *text = arg;
    size_t len = strlen(text);
    (void)snprintf(text + len, 64 - len, " %c%.*s", wanted ? '+' : '-', (int)room.len, room.ptr);
}

static void a_room_may_be_watched_without_members(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    char changes[64] = "";
    chat_start(&chat, &opts);
    CU_ASSERT_EQUAL(hub_watch(chat.hub, slice_str("/user:ann")), ERR_OK);
    CU_ASSERT_EQUAL(hub_watch(chat.hub, slice_str("/user:ann")), ERR_OK);
    hub_take_interest(chat.hub, note_change, changes);
    hub_unwatch(chat.hub, slice_str("/user:ann"));
    hub_take_interest(chat.hub, note_change, changes);
    CU_ASSERT_STRING_EQUAL(changes, " +/user:ann");
    hub_unwatch(chat.hub, slice_str("/user:ann"));
    hub_take_interest(chat.hub, note_change, changes);
    CU_ASSERT_STRING_EQUAL(changes, " +/user:ann -/user:ann");
    hub_unwatch(chat.hub, slice_str("/user:ann"));
    chat_stop(&chat);
}

CU_TestInfo passing_tests[] = {
    {"who_is_excepted_gets_all_else_of_the_turn", who_is_excepted_gets_all_else_of_the_turn},
    {"alone_and_excepted_one_gets_nothing", alone_and_excepted_one_gets_nothing},
    {"who_has_half_of_its_bound_waiting_is_skipped", who_has_half_of_its_bound_waiting_is_skipped},
    {"a_room_may_be_watched_without_members", a_room_may_be_watched_without_members},
    CU_TEST_INFO_NULL,
};
