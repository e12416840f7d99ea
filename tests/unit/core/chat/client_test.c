#include "core/chat/client.h"

#include <CUnit/CUnit.h>

#include "core/base/mem.h"
#include "tests/support/chat_peer.h"

/* --- in --- */

static void says_something_to_its_room(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_say(&peer, "hi"));
    CU_ASSERT_TRUE(peer_hears(&peer, "hi"));
    chat_ends_well(&chat, &peer);
}

/* One frame behind the other, cut at each byte between what came early and what the socket brings.
 */
static void early_bytes_are_part_of_the_first_frames(void)
{
    char bytes[64];
    size_t len = peer_write_frame(0x81, slice_str("one"), bytes);
    len += peer_write_frame(0x81, slice_str("two"), bytes + len);
    for (size_t cut = 0; cut <= len; cut++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        chat_start(&chat, &opts);
        CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
        peer_attach(&peer, slice_of(bytes, cut));
        CU_ASSERT_TRUE(peer_send_raw(&peer, bytes + cut, len - cut));
        CU_ASSERT_TRUE(peer_hears(&peer, "one"));
        CU_ASSERT_TRUE(peer_hears(&peer, "two"));
        chat_ends_well(&chat, &peer);
    }
}

static void early_bytes_without_memory_close(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    chat_start(&chat, &opts);
    CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
    mem_fail_after(1);
    peer_attach(&peer, slice_str("x"));
    mem_fail_after(0);
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_INTERNAL));
    CU_ASSERT_TRUE(peer_send_close(&peer, WS_CLOSE_INTERNAL));
    chat_ends_well(&chat, &peer);
}

static void a_ping_is_answered_with_its_payload(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    struct peer_frame frame;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, NULL);
    CU_ASSERT_TRUE(peer_send(&peer, WS_PING, slice_str("are you there")));
    CU_ASSERT_EQUAL(peer_receive(&peer, &frame), WS_PONG);
    CU_ASSERT_TRUE(slice_equals_str(frame.payload, "are you there"));
    chat_ends_well(&chat, &peer);
}

/* Alone, and in the way of a global message of the same turn. */
static void a_reply_keeps_its_place_among_own_messages(void)
{
    for (int global = 0; global <= 1; global++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        chat_start(&chat, &opts);
        chat.on_message = chat_reply_between;
        peer_join(&chat, &peer, global ? NULL : "lobby");
        for (int i = 0; i < 3; i++)
            CU_ASSERT_TRUE(peer_say(&peer, "before"));
        for (int i = 0; i < 3; i++) {
            CU_ASSERT_TRUE(peer_hears(&peer, "before"));
            CU_ASSERT_TRUE(peer_hears(&peer, "reply"));
            CU_ASSERT_TRUE(peer_hears(&peer, "after"));
        }
        chat_settle(&chat);
        CU_ASSERT_TRUE(peer_hears_nothing(&peer));
        chat_ends_well(&chat, &peer);
    }
}

struct answering {
    struct loop_task task;
    struct client *client;
};

static void run_answering(struct loop_task *task, struct loop *loop)
{
    struct answering *answering = (struct answering *)task;
    (void)loop;
    client_reply_now(answering->client, slice_str("reply"));
}

/* Between what was posted before its task and what was posted after it. */
static void a_reply_at_once_keeps_the_place_of_its_task(void)
{
    for (int global = 0; global <= 1; global++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        const char *room = global ? NULL : "lobby";
        chat_start(&chat, &opts);
        peer_join(&chat, &peer, room);
        struct answering answering = {.task.run = run_answering, .client = peer.client};
        struct chat_gate *gate = chat_hold(&chat, 0);
        CU_ASSERT_TRUE(chat_publish(&chat, room, "before"));
        loop_post(chat.loops[0], &answering.task);
        CU_ASSERT_TRUE(chat_publish(&chat, room, "after"));
        chat_release(gate);
        CU_ASSERT_TRUE(peer_hears(&peer, "before"));
        CU_ASSERT_TRUE(peer_hears(&peer, "reply"));
        CU_ASSERT_TRUE(peer_hears(&peer, "after"));
        chat_ends_well(&chat, &peer);
    }
}

static void abandoned_before_and_after_messages(void)
{
    for (int messages = 0; messages <= 1; messages++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        chat_start(&chat, &opts);
        CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
        for (int i = 0; i < messages; i++)
            CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "x"));
        client_abandon(peer.client);
        CU_ASSERT_TRUE(chat_await_empty(&chat));
        CU_ASSERT_EQUAL(chat_count(&chat, connections_total), 0);
        chat_ends_well(&chat, &peer);
    }
}

static void a_socket_that_cannot_be_used_ends_the_client(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    chat_start(&chat, &opts);
    CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
    client_attach(peer.client, -1, slice_str("early"));
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_ends_well(&chat, &peer);
}

CU_TestInfo client_tests[] = {
    {"says_something_to_its_room", says_something_to_its_room},
    {"early_bytes_are_part_of_the_first_frames", early_bytes_are_part_of_the_first_frames},
    {"early_bytes_without_memory_close", early_bytes_without_memory_close},
    {"a_ping_is_answered_with_its_payload", a_ping_is_answered_with_its_payload},
    {"a_reply_keeps_its_place_among_own_messages", a_reply_keeps_its_place_among_own_messages},
    {"a_reply_at_once_keeps_the_place_of_its_task", a_reply_at_once_keeps_the_place_of_its_task},
    {"abandoned_before_and_after_messages", abandoned_before_and_after_messages},
    {"a_socket_that_cannot_be_used_ends_the_client", a_socket_that_cannot_be_used_ends_the_client},
    CU_TEST_INFO_NULL,
};
