/*
 * Messages that have begun and are not whole yet: how long they may take, and how much all of them
 * may hold.
 */
#include <CUnit/CUnit.h>
#include <string.h>

#include "core/chat/client.h"
#include "core/chat/shard.h"
#include "core/ws/parser.h"
#include "tests/support/chat_peer.h"

/* --- their deadline --- */

enum { DEADLINE_MS = 100 };

/* One peer, which has sent so much of a message. */
static void begin(struct chat *chat, struct peer *peer, struct slice begun)
{
    struct hub_opts opts = chat_opts_frozen(1);
    opts.message_timeout_ms = DEADLINE_MS;
    chat_start(chat, &opts);
    peer_join(chat, peer, "lobby");
    CU_ASSERT_TRUE(peer_send_raw(peer, begun.ptr, begun.len));
    chat_settle(chat);
}

/* A frame's header, a part of its payload, and a fragment of a message that is not the last. */
static void a_message_must_be_finished_in_time(void)
{
    static const struct slice begun[] = {
        {"\x81", 1}, {"\x81\x85\0\0\0\0he", 8}, {"\x01\x82\0\0\0\0he", 8}};
    for (size_t i = 0; i < sizeof begun / sizeof *begun; i++) {
        struct chat chat;
        struct peer peer;
        begin(&chat, &peer, begun[i]);
        chat_advance(&chat, DEADLINE_MS - 1);
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
    struct peer peer;
    struct peer_frame frame;
    begin(&chat, &peer, slice_of("\x01\x82\0\0\0\0he", 8));
    for (int i = 0; i < DEADLINE_MS; i++) {
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
    struct peer peer;
    char bytes[16];
    size_t len = peer_write_frame(0x81, slice_str("hi"), bytes);
    begin(&chat, &peer, slice_of(bytes, 3));
    for (int i = 0; i < 10; i++) {
        char rest_and_begin[16];
        chat_advance(&chat, DEADLINE_MS - 1);
        memcpy(rest_and_begin, bytes + 3, len - 3);
        memcpy(rest_and_begin + len - 3, bytes, 3);
        CU_ASSERT_TRUE_FATAL(peer_send_raw(&peer, rest_and_begin, len));
        CU_ASSERT_TRUE_FATAL(peer_hears(&peer, "hi"));
    }
    CU_ASSERT_EQUAL(chat_count(&chat, message_timeouts_total), 0);
    chat_advance(&chat, DEADLINE_MS);
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_MESSAGE_TIMEOUT));
    chat_ends_well(&chat, &peer);
}

/* Who has said all waits for nothing. */
static void a_finished_message_has_no_deadline(void)
{
    struct chat chat;
    struct peer peer;
    begin(&chat, &peer, slice_of("\x81\x82\0\0", 4));
    CU_ASSERT_TRUE(peer_send_raw(&peer, "\0\0hi", 4));
    CU_ASSERT_TRUE(peer_hears(&peer, "hi"));
    chat_advance(&chat, DEADLINE_MS * 10);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    CU_ASSERT_EQUAL(chat_count(&chat, message_timeouts_total), 0);
    chat_ends_well(&chat, &peer);
}

/* --- how much they may hold --- */

/* What one holds that began with a fragment of 1,000 bytes. */
enum { BEGUN_BYTES = WS_PARSER_BYTES + 1024, TEXT_LEN = 1000 };

static char text[TEXT_LEN + 2]; /* the whole message */

static void begin_message(struct chat *chat, struct peer *peer)
{
    char frame[TEXT_LEN + 14];
    memset(text, 'x', TEXT_LEN);
    text[TEXT_LEN] = '!';
    size_t len = peer_write_frame(0x01, slice_of(text, TEXT_LEN), frame);
    CU_ASSERT_TRUE(peer_send_raw(peer, frame, len));
    chat_settle(chat);
}

static void finish_message(struct peer *peer)
{
    char frame[1 + 14];
    size_t len = peer_write_frame(0x80, slice_str("!"), frame);
    CU_ASSERT_TRUE(peer_send_raw(peer, frame, len));
}

struct look {
    struct client *client;
    size_t bytes;
};

static void look(void *arg)
{
    struct look *look = arg;
    look->bytes = ws_pool_bytes_in_use(look->client->shard->pool);
}

static size_t bytes_in_use(struct chat *chat, const struct peer *peer)
{
    struct look seen = {.client = peer->client};
    chat_run_on(chat, 0, look, &seen);
    return seen.bytes;
}

/* Up to the bound nobody ends; past it, who began first, whoever came first. */
static void all_together_have_a_bound(void)
{
    enum { PEERS = 4 };
    static const size_t bounds[] = {PEERS * BEGUN_BYTES - 1, PEERS * BEGUN_BYTES,
                                    PEERS * BEGUN_BYTES + 1};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        struct chat chat;
        struct hub_opts opts = chat_opts_frozen(1);
        struct peer peers[PEERS];
        int staying = bounds[i] < (size_t)PEERS * BEGUN_BYTES ? PEERS - 1 : PEERS;
        opts.midway_bytes = bounds[i];
        chat_start(&chat, &opts);
        for (int p = 0; p < PEERS; p++)
            peer_join(&chat, &peers[p], "lobby");
        for (int p = PEERS - 1; p >= 0; p--)
            begin_message(&chat, &peers[p]);
        CU_ASSERT_EQUAL(chat_count(&chat, message_timeouts_total), (uint64_t)(PEERS - staying));
        CU_ASSERT_EQUAL(bytes_in_use(&chat, &peers[0]), (size_t)staying * BEGUN_BYTES);
        finish_message(&peers[0]);
        for (int p = 0; p < staying; p++)
            CU_ASSERT_TRUE(peer_hears(&peers[p], text));
        for (int p = staying; p < PEERS; p++)
            CU_ASSERT_TRUE(peer_hears_close(&peers[p], WS_CLOSE_MESSAGE_TIMEOUT));
        for (int p = 0; p < PEERS; p++)
            peer_leave(&peers[p]);
        chat_ends_well(&chat, NULL);
    }
}

/* So that a message of any size that is allowed gets through, whatever the bound. */
static void who_began_last_is_never_too_much(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    struct peer first, last;
    opts.midway_bytes = 1;
    chat_start(&chat, &opts);
    peer_join(&chat, &first, "lobby");
    peer_join(&chat, &last, "lobby");
    begin_message(&chat, &first);
    CU_ASSERT_EQUAL(chat_count(&chat, message_timeouts_total), 0);
    begin_message(&chat, &last);
    CU_ASSERT_TRUE(peer_hears_close(&first, WS_CLOSE_MESSAGE_TIMEOUT));
    finish_message(&last);
    CU_ASSERT_TRUE(peer_hears(&last, text));
    CU_ASSERT_EQUAL(chat_count(&chat, message_timeouts_total), 1);
    peer_leave(&first);
    chat_ends_well(&chat, &last);
}

/* It is not read any more, but the peer's Close behind it is. */
static void of_who_is_closed_little_is_kept(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    struct peer peer;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    begin_message(&chat, &peer);
    CU_ASSERT_EQUAL(bytes_in_use(&chat, &peer), BEGUN_BYTES);
    client_close(peer.client, 4501, "enough");
    CU_ASSERT_TRUE(peer_hears_close(&peer, 4501));
    CU_ASSERT_EQUAL(bytes_in_use(&chat, &peer), WS_PARSER_BYTES);
    finish_message(&peer);
    CU_ASSERT_TRUE(peer_send_close(&peer, 4501));
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    chat_ends_well(&chat, &peer);
}

CU_TestInfo client_midway_tests[] = {
    {"a_message_must_be_finished_in_time", a_message_must_be_finished_in_time},
    {"pings_do_not_put_the_deadline_off", pings_do_not_put_the_deadline_off},
    {"each_whole_message_starts_the_deadline_anew", each_whole_message_starts_the_deadline_anew},
    {"a_finished_message_has_no_deadline", a_finished_message_has_no_deadline},
    {"all_together_have_a_bound", all_together_have_a_bound},
    {"who_began_last_is_never_too_much", who_began_last_is_never_too_much},
    {"of_who_is_closed_little_is_kept", of_who_is_closed_little_is_kept},
    CU_TEST_INFO_NULL,
};
