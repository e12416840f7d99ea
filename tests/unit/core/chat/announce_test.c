/* What all events clients are told: who gets it, in the middle of what a turn brings, and who comes
 * later. */
#include "core/chat/hub.h"

#include <CUnit/CUnit.h>

#include "tests/support/chat_peer.h"

extern CU_TestInfo announce_tests[];

static void announce(struct chat *chat, const char *text, bool stands)
{
    struct message *message = message_try_create(WS_TEXT, slice_str(text), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(message);
    hub_announce(chat->hub, message, stands);
    message_release(message);
}

static void join_events(struct chat *chat, struct peer *peer, const char *room)
{
    CU_ASSERT_EQUAL_FATAL(peer_admit_events(chat, peer, room), ERR_OK);
    peer_attach(peer, SLICE_NONE);
    chat_settle(chat);
}

static void events_clients_on_all_loops_are_told_once(void)
{
    enum { PEERS = 6 };
    struct chat chat;
    struct hub_opts opts = chat_opts(3);
    struct peer events[PEERS], plain[PEERS];
    chat_start(&chat, &opts);
    for (int i = 0; i < PEERS; i++) {
        join_events(&chat, &events[i], i % 2 == 0 ? "lobby" : NULL);
        peer_join(&chat, &plain[i], i % 2 == 0 ? "lobby" : NULL);
    }
    announce(&chat, "told", false);
    chat_publish(&chat, NULL, "for all");
    for (int i = 0; i < PEERS; i++) {
        CU_ASSERT_TRUE(peer_hears(&events[i], "told"));
        CU_ASSERT_TRUE(peer_hears(&events[i], "for all"));
        CU_ASSERT_TRUE(peer_hears(&plain[i], "for all"));
    }
    for (int i = 0; i < PEERS; i++) {
        CU_ASSERT_TRUE(peer_hears_nothing(&plain[i]));
        peer_leave(&events[i]);
        peer_leave(&plain[i]);
    }
    chat_stop(&chat);
}

static void it_keeps_its_place_among_the_turns_messages(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer events, plain;
    chat_start(&chat, &opts);
    join_events(&chat, &events, NULL);
    peer_join(&chat, &plain, NULL);
    struct chat_gate *gate = chat_hold(&chat, 0);
    chat_publish(&chat, NULL, "before");
    announce(&chat, "told", false);
    chat_publish(&chat, NULL, "behind");
    chat_release(gate);
    CU_ASSERT_TRUE(peer_hears(&events, "before"));
    CU_ASSERT_TRUE(peer_hears(&events, "told"));
    CU_ASSERT_TRUE(peer_hears(&events, "behind"));
    CU_ASSERT_TRUE(peer_hears(&plain, "before"));
    CU_ASSERT_TRUE(peer_hears(&plain, "behind"));
    peer_leave(&events);
    peer_leave(&plain);
    chat_stop(&chat);
}

static void what_stands_is_told_to_who_comes_later_until_the_next(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(2);
    struct peer early, late, latest, plain;
    chat_start(&chat, &opts);
    join_events(&chat, &early, "lobby");
    announce(&chat, "away", true);
    chat_settle(&chat);
    join_events(&chat, &late, NULL);
    peer_join(&chat, &plain, "lobby");
    CU_ASSERT_TRUE(peer_hears(&early, "away"));
    CU_ASSERT_TRUE(peer_hears(&late, "away"));
    announce(&chat, "back", false);
    chat_settle(&chat);
    join_events(&chat, &latest, NULL);
    CU_ASSERT_TRUE(peer_hears(&early, "back"));
    CU_ASSERT_TRUE(peer_hears(&late, "back"));
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_hears_nothing(&latest));
    CU_ASSERT_TRUE(peer_hears_nothing(&plain));
    announce(&chat, "away for good", true); /* stands when the hub is destroyed */
    chat_settle(&chat);
    struct peer *peers[] = {&early, &late, &latest, &plain};
    for (int i = 0; i < 4; i++)
        peer_leave(peers[i]);
    chat_stop(&chat);
}

CU_TestInfo announce_tests[] = {
    {"events_clients_on_all_loops_are_told_once", events_clients_on_all_loops_are_told_once},
    {"it_keeps_its_place_among_the_turns_messages", it_keeps_its_place_among_the_turns_messages},
    {"what_stands_is_told_to_who_comes_later_until_the_next",
     what_stands_is_told_to_who_comes_later_until_the_next},
    CU_TEST_INFO_NULL,
};
