#include "core/chat/client.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "tests/support/chat_peer.h"

/* --- time --- */

/* With the real clock and nothing else that would wake the loop: whatever is due is done. */
static void a_loop_wakes_by_itself_for_what_is_due(void)
{
    enum { PING, PONG, MESSAGE, CLOSE, DUE };
    for (int due = 0; due < DUE; due++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        struct peer_frame frame;
        uint64_t *const times[] = {&opts.ping_interval_ms, &opts.pong_timeout_ms,
                                   &opts.message_timeout_ms, &opts.close_timeout_ms};
        *times[due] = 20;
        chat_start(&chat, &opts);
        CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
        peer_attach(&peer, SLICE_NONE);
        if (due == MESSAGE)
            CU_ASSERT_TRUE(peer_send_raw(&peer, "\x81", 1));
        if (due == CLOSE)
            CU_ASSERT_TRUE(peer_send_raw(&peer, "\xFF\xFF", 2));
        CU_ASSERT_EQUAL(peer_receive(&peer, &frame), due == PING ? WS_PING : WS_CLOSE);
        if (due == CLOSE)
            CU_ASSERT_TRUE(peer_hears_end(&peer));
        chat_ends_well(&chat, &peer);
    }
}

static void who_is_silent_is_pinged_then_closed_with_4004(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    struct peer peer;
    struct peer_frame frame;
    opts.ping_interval_ms = 25000;
    opts.pong_timeout_ms = 60000;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    chat_advance(&chat, opts.ping_interval_ms - 1);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    chat_advance(&chat, 1);
    CU_ASSERT_EQUAL(peer_receive(&peer, &frame), WS_PING);
    chat_advance(&chat, opts.pong_timeout_ms - opts.ping_interval_ms - 1);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    chat_advance(&chat, 1);
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_HEARTBEAT_TIMEOUT));
    CU_ASSERT_EQUAL(chat_count(&chat, heartbeat_timeouts_total), 1);
    CU_ASSERT_TRUE(peer_send_close(&peer, WS_CLOSE_HEARTBEAT_TIMEOUT));
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    chat_ends_well(&chat, &peer);
}

/* Ping after ping, for longer than the timeout. */
static void who_answers_pings_stays(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    struct peer peer;
    struct peer_frame frame;
    opts.ping_interval_ms = 25000;
    opts.pong_timeout_ms = 60000;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    for (int i = 0; i < 10; i++) {
        chat_advance(&chat, opts.ping_interval_ms);
        CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_PING);
        /* The last moment: a little later it would be given up. */
        chat_advance(&chat, opts.pong_timeout_ms - opts.ping_interval_ms - 1);
        CU_ASSERT_TRUE(peer_send(&peer, WS_PONG, frame.payload));
        chat_settle(&chat);
    }
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    CU_ASSERT_EQUAL(chat_count(&chat, heartbeat_timeouts_total), 0);
    chat_ends_well(&chat, &peer);
}

/* More clients than a turn reads of: all have spoken in time, and are read too late. */
static void a_loop_that_stood_still_reads_before_it_judges(void)
{
    enum { PEERS = 300 };
    static struct peer peers[PEERS];
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    opts.pong_timeout_ms = 60000;
    chat_start(&chat, &opts);
    for (int i = 0; i < PEERS; i++) {
        CU_ASSERT_EQUAL_FATAL(peer_admit(&chat, &peers[i], "lobby"), ERR_OK);
        peer_attach(&peers[i], SLICE_NONE);
    }
    chat_settle(&chat);
    struct chat_gate *gate = chat_hold(&chat, 0);
    for (int i = 0; i < PEERS; i++)
        CU_ASSERT_TRUE(peer_send(&peers[i], WS_PONG, SLICE_NONE));
    chat_skip(opts.pong_timeout_ms);
    chat_release(gate);
    chat_settle(&chat);
    CU_ASSERT_EQUAL(chat_count(&chat, heartbeat_timeouts_total), 0);
    CU_ASSERT_EQUAL(chat_stats(&chat).connections, PEERS);
    /* Those who say nothing from now on are given up, all of them. */
    chat_advance(&chat, opts.pong_timeout_ms);
    CU_ASSERT_EQUAL(chat_count(&chat, heartbeat_timeouts_total), PEERS);
    for (int i = 1; i < PEERS; i++)
        peer_leave(&peers[i]);
    chat_ends_well(&chat, &peers[0]);
}

static void with_the_interval_over_the_timeout_nobody_is_pinged(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    struct peer peer;
    opts.ping_interval_ms = 1000000;
    opts.pong_timeout_ms = 50;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    chat_advance(&chat, opts.pong_timeout_ms - 1);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    chat_advance(&chat, 1);
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_HEARTBEAT_TIMEOUT));
    chat_ends_well(&chat, &peer);
}

CU_TestInfo client_time_tests[] = {
    {"a_loop_wakes_by_itself_for_what_is_due", a_loop_wakes_by_itself_for_what_is_due},
    {"who_is_silent_is_pinged_then_closed_with_4004",
     who_is_silent_is_pinged_then_closed_with_4004},
    {"who_answers_pings_stays", who_answers_pings_stays},
    {"a_loop_that_stood_still_reads_before_it_judges",
     a_loop_that_stood_still_reads_before_it_judges},
    {"with_the_interval_over_the_timeout_nobody_is_pinged",
     with_the_interval_over_the_timeout_nobody_is_pinged},
    CU_TEST_INFO_NULL,
};
