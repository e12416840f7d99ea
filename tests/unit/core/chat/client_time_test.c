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

/* A frame's header, a part of its payload, and a fragment of a message that is not the last. */
static void a_message_must_be_finished_in_time(void)
{
    static const struct slice begun[] = {
        {"\x81", 1}, {"\x81\x85\0\0\0\0he", 8}, {"\x01\x82\0\0\0\0he", 8}};
    for (size_t i = 0; i < sizeof begun / sizeof *begun; i++) {
        struct chat chat;
        struct hub_opts opts = chat_opts_frozen(1);
        struct peer peer;
        opts.message_timeout_ms = 50;
        chat_start(&chat, &opts);
        peer_join(&chat, &peer, "lobby");
        CU_ASSERT_TRUE(peer_send_raw(&peer, begun[i].ptr, begun[i].len));
        chat_settle(&chat);
        chat_advance(&chat, opts.message_timeout_ms - 1);
        CU_ASSERT_TRUE(peer_hears_nothing(&peer));
        chat_advance(&chat, 1);
        CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_MESSAGE_TIMEOUT));
        CU_ASSERT_EQUAL(chat_count(&chat, message_timeouts_total), 1);
        chat_ends_well(&chat, &peer);
    }
}

/* Pings between the fragments are no progress. */
static void pings_do_not_put_the_deadline_off(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    struct peer peer;
    struct peer_frame frame;
    opts.message_timeout_ms = 100;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_send_raw(&peer, "\x01\x82\0\0\0\0he", 8));
    chat_settle(&chat);
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_TRUE(peer_send(&peer, WS_PING, slice_str("?")));
        CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_PONG);
        chat_advance(&chat, 1);
    }
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_MESSAGE_TIMEOUT));
    chat_ends_well(&chat, &peer);
}

/* Each read ends in the middle of a message, for longer than the deadline of one. */
static void each_whole_message_starts_the_deadline_anew(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    struct peer peer;
    char bytes[16];
    size_t len = peer_write_frame(0x81, slice_str("hi"), bytes);
    opts.message_timeout_ms = 400;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_send_raw(&peer, bytes, 3));
    chat_settle(&chat);
    for (int i = 0; i < 10; i++) {
        char rest_and_begin[16];
        chat_advance(&chat, opts.message_timeout_ms - 1);
        memcpy(rest_and_begin, bytes + 3, len - 3);
        memcpy(rest_and_begin + len - 3, bytes, 3);
        CU_ASSERT_TRUE_FATAL(peer_send_raw(&peer, rest_and_begin, len));
        CU_ASSERT_TRUE_FATAL(peer_hears(&peer, "hi"));
    }
    CU_ASSERT_EQUAL(chat_count(&chat, message_timeouts_total), 0);
    chat_advance(&chat, opts.message_timeout_ms);
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_MESSAGE_TIMEOUT));
    chat_ends_well(&chat, &peer);
}

/* Who has said all waits for nothing. */
static void a_finished_message_has_no_deadline(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    struct peer peer;
    opts.message_timeout_ms = 50;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_send_raw(&peer, "\x81\x82\0\0", 4));
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_send_raw(&peer, "\0\0hi", 4));
    CU_ASSERT_TRUE(peer_hears(&peer, "hi"));
    chat_advance(&chat, opts.message_timeout_ms * 10);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    CU_ASSERT_EQUAL(chat_count(&chat, message_timeouts_total), 0);
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
    {"a_message_must_be_finished_in_time", a_message_must_be_finished_in_time},
    {"pings_do_not_put_the_deadline_off", pings_do_not_put_the_deadline_off},
    {"each_whole_message_starts_the_deadline_anew", each_whole_message_starts_the_deadline_anew},
    {"a_finished_message_has_no_deadline", a_finished_message_has_no_deadline},
    CU_TEST_INFO_NULL,
};
