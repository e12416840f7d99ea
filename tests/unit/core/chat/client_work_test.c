/* What a client has only while something is under way: that it comes, and that it goes. */
#include "core/chat/client_work.h"

#include <CUnit/CUnit.h>

#include "tests/support/chat_peer.h"
#include "tests/support/chat_press.h"

enum { HOLD_MS = 50 };

struct sight {
    struct client *client;
    bool has_work;
};

static void look(void *arg)
{
    struct sight *sight = arg;
    sight->has_work = sight->client->work != NULL;
}

static bool has_work(struct chat *chat, const struct peer *peer)
{
    struct sight sight = {.client = peer->client};
    chat_settle(chat);
    chat_run_on(chat, 0, look, &sight);
    return sight.has_work;
}

static bool has_no_work(struct chat *chat, void *arg)
{
    return !has_work(chat, arg);
}

static void begin(struct chat *chat, struct peer *peer)
{
    struct hub_opts opts = chat_opts_frozen(1);
    chat_start(chat, &opts);
    CU_ASSERT_EQUAL_FATAL(peer_admit(chat, peer, "lobby"), ERR_OK);
}

static void an_idle_client_has_none(void)
{
    struct chat chat;
    struct peer peer;
    begin(&chat, &peer);
    CU_ASSERT_TRUE(has_work(&chat, &peer)); /* its socket is awaited */
    peer_attach_tcp(&peer, SLICE_NONE);
    CU_ASSERT_FALSE(has_work(&chat, &peer));
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_TRUE(peer_say(&peer, "whole"));
        CU_ASSERT_TRUE(peer_hears(&peer, "whole"));
        CU_ASSERT_FALSE(has_work(&chat, &peer));
    }
    chat_ends_well(&chat, &peer);
}

static void bytes_that_come_with_the_socket_are_looked_at_first(void)
{
    struct chat chat;
    struct peer peer;
    char early[64];
    size_t len = peer_write_frame(0x81, slice_str("early"), early);
    begin(&chat, &peer);
    peer_attach(&peer, slice_of(early, len));
    CU_ASSERT_TRUE(peer_hears(&peer, "early"));
    CU_ASSERT_FALSE(has_work(&chat, &peer));
    chat_ends_well(&chat, &peer);
}

static void an_unfinished_frame_is_work(void)
{
    struct chat chat;
    struct peer peer;
    char frame[64];
    size_t len = peer_write_frame(0x81, slice_str("hello"), frame);
    begin(&chat, &peer);
    peer_attach(&peer, SLICE_NONE);
    for (size_t cut = 1; cut < len; cut++) {
        CU_ASSERT_TRUE(peer_send_raw(&peer, frame, cut));
        while (!has_work(&chat, &peer))
            ; /* until the loop has read it */
        CU_ASSERT_TRUE(peer_send_raw(&peer, frame + cut, len - cut));
        CU_ASSERT_TRUE(peer_hears(&peer, "hello"));
        CU_ASSERT_FALSE(has_work(&chat, &peer));
    }
    chat_ends_well(&chat, &peer);
}

static void what_waits_for_a_full_socket_is_work(void)
{
    struct chat chat;
    struct peer peer;
    struct peer_frame frame;
    begin(&chat, &peer);
    peer_attach_tcp(&peer, SLICE_NONE);
    CU_ASSERT_FALSE(has_work(&chat, &peer));
    int count = chat_fill_socket(&chat, &peer);
    CU_ASSERT_TRUE(has_work(&chat, &peer));
    for (int i = 0; i < count; i++)
        CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_TEXT);
    CU_ASSERT_TRUE(chat_await(&chat, has_no_work, &peer));
    chat_ends_well(&chat, &peer);
}

static void hold_and_publish(struct chat *chat, struct client *client, struct slice payload)
{
    client_hold(client, HOLD_MS);
    chat_publish_for(chat, client, payload);
}

static void a_pause_is_work_until_it_is_over(void)
{
    struct chat chat;
    struct peer peer;
    begin(&chat, &peer);
    chat.on_message = hold_and_publish;
    peer_attach(&peer, SLICE_NONE);
    CU_ASSERT_TRUE(peer_say(&peer, "one"));
    CU_ASSERT_TRUE(peer_hears(&peer, "one"));
    CU_ASSERT_TRUE(has_work(&chat, &peer));
    chat_advance(&chat, HOLD_MS - 1);
    CU_ASSERT_TRUE(has_work(&chat, &peer));
    chat_advance(&chat, 1);
    CU_ASSERT_FALSE(has_work(&chat, &peer));
    chat_ends_well(&chat, &peer);
}

CU_TestInfo client_work_tests[] = {
    {"an_idle_client_has_none", an_idle_client_has_none},
    {"bytes_that_come_with_the_socket_are_looked_at_first",
     bytes_that_come_with_the_socket_are_looked_at_first},
    {"an_unfinished_frame_is_work", an_unfinished_frame_is_work},
    {"what_waits_for_a_full_socket_is_work", what_waits_for_a_full_socket_is_work},
    {"a_pause_is_work_until_it_is_over", a_pause_is_work_until_it_is_over},
    CU_TEST_INFO_NULL,
};
