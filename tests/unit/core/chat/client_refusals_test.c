/* Clients that limits refuse again and again. */
#include <CUnit/CUnit.h>
#include <stdio.h>

#include "core/base/mem.h"
#include "core/chat/client.h"
#include "tests/support/chat_peer.h"

enum { SECOND_MS = 1000 };

/* Each message is refused, and counted in the test's own count. */
static void refuse(struct chat *chat, struct client *client, struct slice payload)
{
    unsigned *refusals = chat->arg;
    (void)payload;
    ++*refusals;
    client_count_refusal(client);
}

static void start(struct chat *chat, struct peer *peer, unsigned *refusals)
{
    /* In a minute and more, nobody is to be pinged or to fall silent. */
    struct hub_opts opts = chat_opts_frozen(1);
    opts.ping_interval_ms = opts.pong_timeout_ms = 1000 * SECOND_MS;
    *refusals = 0;
    chat_start(chat, &opts);
    chat->on_message = refuse;
    chat->arg = refusals;
    peer_join(chat, peer, "lobby");
}

static void say_often(struct chat *chat, struct peer *peer, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        CU_ASSERT_TRUE(peer_say(peer, "again"));
    chat_settle(chat);
}

static bool is_open(struct chat *chat, struct peer *peer)
{
    return chat_publish(chat, "lobby", "still here") && peer_hears(peer, "still here");
}

static void a_hundred_within_a_minute_end_the_client(void)
{
    struct chat chat;
    struct peer peer;
    unsigned refusals;
    start(&chat, &peer, &refusals);
    say_often(&chat, &peer, 99);
    CU_ASSERT_TRUE(is_open(&chat, &peer));
    CU_ASSERT_EQUAL(refusals, 99);
    say_often(&chat, &peer, 1);
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_RATE_LIMITED));
    CU_ASSERT_EQUAL(chat_count(&chat, rate_limit_ended_total), 1);
    chat_ends_well(&chat, &peer);
}

static void what_comes_behind_the_hundredth_is_not_looked_at(void)
{
    struct chat chat;
    struct peer peer;
    unsigned refusals;
    start(&chat, &peer, &refusals);
    say_often(&chat, &peer, 101);
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_RATE_LIMITED));
    CU_ASSERT_EQUAL(refusals, 100);
    CU_ASSERT_EQUAL(chat_count(&chat, rate_limit_ended_total), 1);
    chat_ends_well(&chat, &peer);
}

static void those_of_a_minute_ago_are_forgotten(void)
{
    struct chat chat;
    struct peer peer;
    unsigned refusals;
    start(&chat, &peer, &refusals);
    for (unsigned i = 0; i < 3; i++) {
        say_often(&chat, &peer, 99);
        chat_advance(&chat, 60 * SECOND_MS);
    }
    CU_ASSERT_TRUE(is_open(&chat, &peer));
    /* One a second is less than that for ever; 99, and one more 59 seconds later, are not. */
    say_often(&chat, &peer, 99);
    chat_advance(&chat, 59 * SECOND_MS);
    say_often(&chat, &peer, 1);
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_RATE_LIMITED));
    CU_ASSERT_EQUAL(refusals, 3 * 99 + 100);
    chat_ends_well(&chat, &peer);
}

static void each_connection_is_judged_by_itself(void)
{
    struct chat chat;
    struct peer first, second;
    unsigned refusals;
    start(&chat, &first, &refusals);
    peer_join(&chat, &second, "lobby");
    say_often(&chat, &first, 99);
    say_often(&chat, &second, 99);
    CU_ASSERT_TRUE(is_open(&chat, &first));
    peer_leave(&second);
    chat_ends_well(&chat, &first);
}

static void refuse_without_memory(struct chat *chat, struct client *client, struct slice payload)
{
    mem_fail_after(1);
    refuse(chat, client, payload);
    mem_fail_after(0);
}

static void what_there_is_no_memory_to_count_ends_nobody(void)
{
    struct chat chat;
    struct peer peer;
    unsigned refusals;
    start(&chat, &peer, &refusals);
    chat.on_message = refuse_without_memory;
    say_often(&chat, &peer, 101);
    CU_ASSERT_TRUE(is_open(&chat, &peer));
    CU_ASSERT_EQUAL(refusals, 101);
    chat.on_message = refuse;
    say_often(&chat, &peer, 100);
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_RATE_LIMITED));
    chat_ends_well(&chat, &peer);
}

CU_TestInfo client_refusals_tests[] = {
    {"a_hundred_within_a_minute_end_the_client", a_hundred_within_a_minute_end_the_client},
    {"what_comes_behind_the_hundredth_is_not_looked_at",
     what_comes_behind_the_hundredth_is_not_looked_at},
    {"those_of_a_minute_ago_are_forgotten", those_of_a_minute_ago_are_forgotten},
    {"each_connection_is_judged_by_itself", each_connection_is_judged_by_itself},
    {"what_there_is_no_memory_to_count_ends_nobody", what_there_is_no_memory_to_count_ends_nobody},
    CU_TEST_INFO_NULL,
};
