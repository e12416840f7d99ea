#include "core/chat/hub.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/chat/shard.h"
#include "tests/support/chat_peer.h"

/* --- places --- */

static void takes_max_clients_and_not_one_more(void)
{
    enum { MAX = 3 };
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peers[MAX], late;
    opts.max_clients = MAX;
    chat_start(&chat, &opts);
    for (int i = 0; i < MAX; i++)
        CU_ASSERT_EQUAL(peer_admit(&chat, &peers[i], "lobby"), ERR_OK);
    CU_ASSERT_EQUAL(peer_admit(&chat, &late, "lobby"), ERR_FULL);
    CU_ASSERT_PTR_NULL(late.client);
    CU_ASSERT_EQUAL(chat_stats(&chat).slots, MAX);
    client_abandon(peers[1].client);
    chat_settle(&chat);
    CU_ASSERT_EQUAL(peer_admit(&chat, &late, "lobby"), ERR_OK);
    CU_ASSERT_EQUAL(peer_admit(&chat, &peers[1], "lobby"), ERR_FULL);
    client_abandon(peers[0].client);
    client_abandon(peers[2].client);
    client_abandon(late.client);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    CU_ASSERT_EQUAL(chat_stats(&chat).rooms, 0);
    chat_stop(&chat);
}

/* A slot is free only when the client is gone, though it has left its rooms before. */
static void a_client_that_is_closing_keeps_its_place(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer, late;
    opts.max_clients = 1;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_send_close(&peer, 1000));
    CU_ASSERT_TRUE(peer_hears_close(&peer, 1000));
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    CU_ASSERT_EQUAL(chat_stats(&chat).connections, 0);
    CU_ASSERT_EQUAL(chat_stats(&chat).rooms, 0);
    CU_ASSERT_EQUAL(peer_admit(&chat, &late, NULL), ERR_FULL);
    peer_leave(&peer);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    CU_ASSERT_EQUAL(peer_admit(&chat, &late, NULL), ERR_OK);
    client_abandon(late.client);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_stop(&chat);
}

/* --- who gets what --- */

static void a_rooms_message_reaches_its_members_and_nobody_else(void)
{
    enum { PEERS = 9 };
    static const char *const rooms[] = {"a", "b", NULL};
    struct chat chat;
    struct hub_opts opts = chat_opts(3);
    struct peer peers[PEERS];
    chat_start(&chat, &opts);
    /* Each room has a member on each loop. */
    for (int i = 0; i < PEERS; i++)
        peer_join(&chat, &peers[i], rooms[i / 3]);
    CU_ASSERT_TRUE(chat_publish(&chat, "a", "to a"));
    CU_ASSERT_TRUE(chat_publish(&chat, "b", "to b"));
    CU_ASSERT_FALSE(chat_publish(&chat, "c", "to nobody"));
    chat_settle(&chat);
    CU_ASSERT_TRUE(chat_publish(&chat, NULL, "to all"));
    chat_settle(&chat);
    for (int i = 0; i < PEERS; i++) {
        if (i < 3)
            CU_ASSERT_TRUE(peer_hears(&peers[i], "to a"));
        if (i >= 3 && i < 6)
            CU_ASSERT_TRUE(peer_hears(&peers[i], "to b"));
        CU_ASSERT_TRUE(peer_hears(&peers[i], "to all"));
        CU_ASSERT_TRUE(peer_hears_nothing(&peers[i]));
    }
    CU_ASSERT_EQUAL(chat_count(&chat, messages_delivered_total), 3 + 3 + PEERS);
    for (int i = 0; i < PEERS; i++)
        peer_leave(&peers[i]);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_stop(&chat);
}

/* Enough members for three loops, and senders on each of them. */
enum {
    MEMBERS = 2 * ROOM_MEMBERS_TOGETHER + 8,
    SENDERS = 4,
    SENDER_STEP = MEMBERS / SENDERS,
    EACH = 50,
};

static void *say_numbers(void *arg)
{
    struct peer *peer = arg;
    char text[32];
    for (int i = 0; i < EACH; i++) {
        (void)snprintf(text, sizeof text, "%d:%d", peer->fd, i);
        if (!peer_say(peer, text))
            return NULL;
    }
    return peer;
}

static void hears_each_number_once_in_order(struct peer *peer, const struct peer *senders)
{
    int next[SENDERS] = {0};
    for (int i = 0; i < SENDERS * EACH; i++) {
        struct peer_frame frame;
        char text[32] = "";
        if (peer_receive(peer, &frame) != WS_TEXT || frame.payload.len >= sizeof text)
            CU_FAIL_FATAL("a message is missing");
        memcpy(text, frame.payload.ptr, frame.payload.len);
        char *colon = NULL;
        int fd = (int)strtol(text, &colon, 10), number = (int)strtol(colon + 1, NULL, 10);
        for (int s = 0; s < SENDERS; s++)
            if (senders[(size_t)s * SENDER_STEP].fd == fd && next[s]++ != number)
                CU_FAIL_FATAL("out of order");
    }
    CU_ASSERT_TRUE(peer_hears_nothing(peer));
}

/* The senders are members, too, on all loops; all of them send at once. */
static void what_one_sender_says_comes_once_and_in_order(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(3);
    struct peer peers[MEMBERS];
    pthread_t threads[SENDERS];
    void *result;
    opts.queue_messages = (size_t)SENDERS * EACH * 4;
    chat_start(&chat, &opts);
    for (int i = 0; i < MEMBERS; i++)
        peer_join(&chat, &peers[i], "lobby");
    for (int i = 0; i < SENDERS; i++)
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&threads[i], NULL, say_numbers, &peers[(size_t)i * SENDER_STEP]), 0);
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], &result);
        CU_ASSERT_PTR_NOT_NULL(result);
    }
    for (int i = 0; i < MEMBERS; i++)
        hears_each_number_once_in_order(&peers[i], peers);
    for (int i = 0; i < MEMBERS; i++)
        peer_leave(&peers[i]);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_stop(&chat);
}

/* In one turn: several parts are dirty, and a member of both gets all of both, each in order. */
static void who_is_in_two_dirty_rooms_gets_both_in_order(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peers[2];
    chat_start(&chat, &opts);
    peer_join(&chat, &peers[0], "lobby");
    peer_join(&chat, &peers[1], NULL);
    struct chat_gate *gate = chat_hold(&chat, 0);
    chat_publish(&chat, "lobby", "room 1");
    chat_publish(&chat, NULL, "all 1");
    chat_publish(&chat, "lobby", "room 2");
    chat_publish(&chat, NULL, "all 2");
    chat_release(gate);
    int rooms = 0, alls = 0;
    for (int i = 0; i < 4; i++) {
        struct peer_frame frame;
        char expected[32];
        CU_ASSERT_EQUAL_FATAL(peer_receive(&peers[0], &frame), WS_TEXT);
        bool is_room = frame.payload.ptr[0] == 'r';
        (void)snprintf(expected, sizeof expected, "%s %d", is_room ? "room" : "all",
                       is_room ? ++rooms : ++alls);
        CU_ASSERT_TRUE(slice_equals_str(frame.payload, expected));
    }
    CU_ASSERT_EQUAL(rooms, 2);
    CU_ASSERT_TRUE(peer_hears(&peers[1], "all 1"));
    CU_ASSERT_TRUE(peer_hears(&peers[1], "all 2"));
    chat_settle(&chat);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_TRUE(peer_hears_nothing(&peers[i]));
        peer_leave(&peers[i]);
    }
    chat_stop(&chat);
}

static void more_than_a_batch_in_one_turn_comes_whole_and_in_order(void)
{
    enum { COUNT = 40, LEN = 5000 };
    static char text[LEN];
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    struct chat_gate *gate = chat_hold(&chat, 0);
    for (int i = 0; i < COUNT; i++) {
        memset(text, 'A' + i, LEN);
        chat_publish_bytes(&chat, "lobby", slice_of(text, LEN));
    }
    chat_release(gate);
    for (int i = 0; i < COUNT; i++) {
        struct peer_frame frame;
        CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_TEXT);
        CU_ASSERT_EQUAL(frame.payload.len, LEN);
        CU_ASSERT_EQUAL(frame.payload.ptr[0], 'A' + i);
        CU_ASSERT_EQUAL(frame.payload.ptr[LEN - 1], 'A' + i);
    }
    peer_leave(&peer);
    chat_stop(&chat);
}

static void messages_before_the_socket_wait_for_it(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(2);
    struct peer peer;
    chat_start(&chat, &opts);
    CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
    CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "early 1"));
    chat_settle(&chat);
    CU_ASSERT_TRUE(chat_publish(&chat, NULL, "early 2"));
    chat_settle(&chat);
    peer_attach(&peer, SLICE_NONE);
    CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "late"));
    CU_ASSERT_TRUE(peer_hears(&peer, "early 1"));
    CU_ASSERT_TRUE(peer_hears(&peer, "early 2"));
    CU_ASSERT_TRUE(peer_hears(&peer, "late"));
    peer_leave(&peer);
    chat_stop(&chat);
}

/* --- the end --- */

static void a_drain_delivers_closes_with_1001_and_waits(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(2);
    struct peer peers[3], refused;
    chat_start(&chat, &opts);
    peer_join(&chat, &peers[0], "lobby");
    peer_join(&chat, &peers[1], "lobby");
    CU_ASSERT_EQUAL(peer_admit(&chat, &peers[2], "lobby"), ERR_OK);
    CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "last words"));
    /* The deadline has come already: it begins, and says who is left. */
    CU_ASSERT_EQUAL(hub_drain(chat.hub, clock_monotonic_ms()), 3);
    CU_ASSERT_TRUE(hub_is_draining(chat.hub));
    CU_ASSERT_EQUAL(peer_admit(&chat, &refused, NULL), ERR_CLOSED);
    /* Its handshake was under way: it gets the same, and nothing that it sent is looked at. */
    char early[32];
    peer_attach(&peers[2], slice_of(early, peer_write_frame(0x81, slice_str("hi"), early)));
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_TRUE(peer_hears(&peers[i], "last words"));
        CU_ASSERT_TRUE(peer_hears_close(&peers[i], WS_CLOSE_GOING_AWAY));
        CU_ASSERT_TRUE(peer_send_close(&peers[i], WS_CLOSE_GOING_AWAY));
        CU_ASSERT_TRUE(peer_hears_end(&peers[i]));
        peer_leave(&peers[i]);
    }
    CU_ASSERT_EQUAL(hub_drain(chat.hub, clock_monotonic_ms() + CHAT_WAIT_MS), 0);
    CU_ASSERT_EQUAL(chat_stats(&chat).connections, 0);
    chat_stop(&chat);
}

static void a_stop_drops_who_is_left(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(2);
    struct peer peers[4];
    chat_start(&chat, &opts);
    for (int i = 0; i < 4; i++)
        peer_join(&chat, &peers[i], i % 2 == 0 ? "lobby" : NULL);
    /* One is in the middle of a message, one in the middle of its close. */
    CU_ASSERT_TRUE(peer_send_raw(&peers[0], "\x81\xFE\x01", 3));
    CU_ASSERT_TRUE(peer_send_close(&peers[1], 1000));
    CU_ASSERT_TRUE(peer_hears_close(&peers[1], 1000));
    chat_settle(&chat);
    chat_stop(&chat);
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_TRUE(peer_hears_end(&peers[i]));
        peer_leave(&peers[i]);
    }
}

/* The members of a small room share a loop; the one past the bound goes to the next. */
static void a_small_room_stays_on_one_loop(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(2);
    struct peer peers[ROOM_MEMBERS_TOGETHER + 1];
    chat_start(&chat, &opts);
    for (int i = 0; i <= ROOM_MEMBERS_TOGETHER; i++)
        CU_ASSERT_EQUAL_FATAL(peer_admit(&chat, &peers[i], "lobby"), ERR_OK);
    unsigned home = client_shard(peers[0].client)->index;
    for (int i = 1; i < ROOM_MEMBERS_TOGETHER; i++)
        CU_ASSERT_EQUAL(client_shard(peers[i].client)->index, home);
    CU_ASSERT_NOT_EQUAL(client_shard(peers[ROOM_MEMBERS_TOGETHER].client)->index, home);
    for (int i = 0; i <= ROOM_MEMBERS_TOGETHER; i++)
        client_abandon(peers[i].client);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_stop(&chat);
}

static void a_hub_that_never_ran_can_be_destroyed(void)
{
    struct hub_opts opts = chat_opts(3);
    struct hub *hub;
    CU_ASSERT_EQUAL_FATAL(hub_create(&opts, &hub), ERR_OK);
    hub_destroy(hub);
    hub_destroy(NULL);
}

CU_TestInfo hub_tests[] = {
    {"takes_max_clients_and_not_one_more", takes_max_clients_and_not_one_more},
    {"a_client_that_is_closing_keeps_its_place", a_client_that_is_closing_keeps_its_place},
    {"a_rooms_message_reaches_its_members_and_nobody_else",
     a_rooms_message_reaches_its_members_and_nobody_else},
    {"what_one_sender_says_comes_once_and_in_order", what_one_sender_says_comes_once_and_in_order},
    {"who_is_in_two_dirty_rooms_gets_both_in_order", who_is_in_two_dirty_rooms_gets_both_in_order},
    {"more_than_a_batch_in_one_turn_comes_whole_and_in_order",
     more_than_a_batch_in_one_turn_comes_whole_and_in_order},
    {"messages_before_the_socket_wait_for_it", messages_before_the_socket_wait_for_it},
    {"a_drain_delivers_closes_with_1001_and_waits", a_drain_delivers_closes_with_1001_and_waits},
    {"a_stop_drops_who_is_left", a_stop_drops_who_is_left},
    {"a_small_room_stays_on_one_loop", a_small_room_stays_on_one_loop},
    {"a_hub_that_never_ran_can_be_destroyed", a_hub_that_never_ran_can_be_destroyed},
    CU_TEST_INFO_NULL,
};
