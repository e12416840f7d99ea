#include "core/chat/client.h"

#include <CUnit/CUnit.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/chat/shard.h"
#include "tests/support/chat_peer.h"
#include "tests/support/chat_press.h"

/* --- the closing handshake --- */

static void the_peers_close_code_is_echoed(void)
{
    static const unsigned codes[] = {0, 1000, 1001, 1003, 1011, 1014, 3000, 4999};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        chat_start(&chat, &opts);
        peer_join(&chat, &peer, "lobby");
        CU_ASSERT_TRUE(peer_send_close(&peer, codes[i]));
        CU_ASSERT_TRUE(peer_hears_close(&peer, codes[i]));
        CU_ASSERT_TRUE(peer_hears_end(&peer));
        CU_ASSERT_EQUAL(chat_count(&chat, protocol_errors_total), 0);
        chat_ends_well(&chat, &peer);
    }
}

static void breaking_a_rule_ends_with_its_code(void)
{
    static const struct {
        struct slice bytes;
        unsigned code;
    } rows[] = {
        {{"\x81\x02hi", 4}, WS_CLOSE_PROTOCOL_ERROR},            /* not masked */
        {{"\x83\x80\0\0\0\0", 6}, WS_CLOSE_PROTOCOL_ERROR},      /* no such opcode */
        {{"\x81\x81\0\0\0\0\xFF", 7}, WS_CLOSE_INVALID_PAYLOAD}, /* no UTF-8 */
        {{"\x81\xFF\0\0\0\0\0\x10\0\x01\0\0\0\0", 14}, WS_CLOSE_MESSAGE_TOO_BIG},
        {{"\x88\x81\0\0\0\0x", 7}, WS_CLOSE_PROTOCOL_ERROR}, /* a Close of one octet */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        chat_start(&chat, &opts);
        peer_join(&chat, &peer, "lobby");
        CU_ASSERT_TRUE(peer_send_raw(&peer, rows[i].bytes.ptr, rows[i].bytes.len));
        CU_ASSERT_TRUE(peer_hears_close(&peer, rows[i].code));
        CU_ASSERT_TRUE(peer_hears_end(&peer));
        CU_ASSERT_EQUAL(chat_count(&chat, protocol_errors_total), 1);
        chat_ends_well(&chat, &peer);
    }
}

/* Over TCP: were anything of what came left unread, the kernel would send RST, and the Close might
 * never be seen. */
static void a_flood_behind_the_close_does_not_turn_it_into_a_reset(void)
{
    enum { FLOOD = 300000 };
    static char flood[FLOOD];
    static const char *const starts[] = {"\x88\x82\0\0\0\0\x03\xE8", "\x81\x02hi"};
    static const size_t lens[] = {8, 4};
    static const unsigned codes[] = {1000, 1002};
    memset(flood, 'x', FLOOD);
    for (int i = 0; i < 2; i++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        chat_start(&chat, &opts);
        CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
        peer_attach_tcp(&peer, SLICE_NONE);
        CU_ASSERT_TRUE(peer_send_raw(&peer, starts[i], lens[i]));
        CU_ASSERT_TRUE(peer_send_raw(&peer, flood, FLOOD));
        CU_ASSERT_TRUE(peer_hears_close(&peer, codes[i]));
        CU_ASSERT_TRUE(peer_hears_end(&peer));
        CU_ASSERT_TRUE(peer_send_raw(&peer, flood, FLOOD));
        CU_ASSERT_EQUAL(chat_stats(&chat).slots, 1);
        chat_ends_well(&chat, &peer);
    }
}

static void close_it(struct chat *chat, struct client *client, struct slice payload)
{
    (void)chat;
    (void)payload;
    client_close(client, 4501, "put out");
    client_close(client, 4500, "twice");
}

static void our_close_waits_for_the_peers(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    struct peer_frame frame;
    chat_start(&chat, &opts);
    chat.on_message = close_it;
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_say(&peer, "please"));
    CU_ASSERT_EQUAL(peer_receive(&peer, &frame), WS_CLOSE);
    CU_ASSERT_EQUAL(frame.close_code, 4501);
    CU_ASSERT_TRUE(slice_equals_str(frame.payload, "put out"));
    /* Messages and pings are not looked at any more. */
    CU_ASSERT_TRUE(peer_say(&peer, "still talking"));
    CU_ASSERT_TRUE(peer_send(&peer, WS_PING, slice_str("?")));
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    CU_ASSERT_EQUAL(chat_count(&chat, messages_received_total), 1);
    CU_ASSERT_TRUE(peer_send_close(&peer, 4501));
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    chat_ends_well(&chat, &peer);
}

static void a_peer_that_does_not_answer_the_close_is_dropped(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    struct peer peer;
    opts.close_timeout_ms = 50;
    chat_start(&chat, &opts);
    chat.on_message = close_it;
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_say(&peer, "please"));
    CU_ASSERT_TRUE(peer_hears_close(&peer, 4501));
    chat_advance(&chat, opts.close_timeout_ms - 1);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    chat_advance(&chat, 1);
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_ends_well(&chat, &peer);
}

static void a_peer_that_never_ends_the_connection_is_dropped(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    struct peer peer;
    opts.close_timeout_ms = 50;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_send_close(&peer, 1000));
    CU_ASSERT_TRUE(peer_hears_close(&peer, 1000));
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    chat_advance(&chat, opts.close_timeout_ms - 1);
    CU_ASSERT_EQUAL(chat_stats(&chat).slots, 1);
    chat_advance(&chat, 1);
    CU_ASSERT_EQUAL(chat_stats(&chat).slots, 0);
    chat_ends_well(&chat, &peer);
}

/* Nor may it wait for a peer that does not read. */
static void a_peer_that_does_not_take_the_close_is_dropped(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    opts.close_timeout_ms = 50;
    opts.queue_messages = 2;
    chat_start(&chat, &opts);
    CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
    peer_attach_tcp(&peer, SLICE_NONE);
    for (int i = 0; chat_count(&chat, slow_consumers_total) == 0 && i < 10000; i++) {
        chat_publish_len(&chat, 8000, 'a');
        chat_settle(&chat);
    }
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    /* What was in the kernel still comes or is gone; there is no Close. */
    struct peer_frame frame;
    int opcode;
    while ((opcode = peer_receive(&peer, &frame)) == WS_TEXT)
        ;
    CU_ASSERT_EQUAL(opcode, PEER_RESET);
    chat_ends_well(&chat, &peer);
}

static void a_connection_that_breaks_is_gone_at_once(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_send_raw(&peer, "\x81", 1));
    chat_ends_well(&chat, &peer);
}

static void a_half_closed_connection_is_gone(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    shutdown(peer.fd, SHUT_WR);
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    chat_ends_well(&chat, &peer);
}

/* What came whole counts, though garbage follows in the same read. */
static void what_was_said_before_the_error_comes_before_the_close(void)
{
    char bytes[64];
    size_t len = peer_write_frame(0x81, slice_str("last words"), bytes);
    bytes[len++] = (char)0xFF;
    bytes[len++] = 0;
    for (size_t cut = 0; cut <= len; cut++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer, other;
        chat_start(&chat, &opts);
        peer_join(&chat, &other, "lobby");
        peer_join(&chat, &peer, "lobby");
        CU_ASSERT_TRUE(peer_send_raw(&peer, bytes, cut));
        if (cut % 2 == 0)
            chat_settle(&chat);
        CU_ASSERT_TRUE(peer_send_raw(&peer, bytes + cut, len - cut));
        CU_ASSERT_TRUE(peer_hears(&peer, "last words"));
        CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_PROTOCOL_ERROR));
        CU_ASSERT_TRUE(peer_hears_end(&peer));
        CU_ASSERT_TRUE(peer_hears(&other, "last words"));
        peer_leave(&other);
        chat_ends_well(&chat, &peer);
    }
}

static void a_reply_that_is_owed_comes_before_the_close(void)
{
    char bytes[64];
    size_t len = peer_write_frame(0x81, slice_str("before"), bytes);
    len += peer_write_frame(0x83, slice_str(""), bytes + len);
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    chat_start(&chat, &opts);
    chat.on_message = chat_reply_between;
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_send_raw(&peer, bytes, len));
    CU_ASSERT_TRUE(peer_hears(&peer, "before"));
    CU_ASSERT_TRUE(peer_hears(&peer, "reply"));
    CU_ASSERT_TRUE(peer_hears(&peer, "after"));
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_PROTOCOL_ERROR));
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    chat_ends_well(&chat, &peer);
}

static void the_close_comes_behind_what_waits(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    struct peer_frame frame;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    int sent = chat_fill_socket(&chat, &peer);
    CU_ASSERT_TRUE(peer_send_close(&peer, 1000));
    chat_settle(&chat);
    for (int i = 0; i < sent; i++)
        CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_TEXT);
    CU_ASSERT_TRUE(peer_hears_close(&peer, 1000));
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    CU_ASSERT_EQUAL(chat_count(&chat, messages_dropped_total), 0);
    chat_ends_well(&chat, &peer);
}

/* --- dropped while tasks about it wait in the mailbox --- */

struct drop_task {
    struct loop_task task;
    struct client *client;
};

static void run_drop(struct loop_task *task, struct loop *loop)
{
    struct drop_task *drop = (struct drop_task *)task;
    (void)loop;
    client_drop(drop->client);
    mem_free(drop);
}

static void post_drop(struct client *client)
{
    struct drop_task *drop = mem_zalloc(sizeof *drop);
    *drop = (struct drop_task){.task.run = run_drop, .client = client};
    loop_post(client_shard(client)->loop, &drop->task);
}

/* The letters of the message say what is done, in their order. */
static void do_as_told(struct chat *chat, struct client *client, struct slice payload)
{
    (void)chat;
    for (size_t i = 0; i < payload.len; i++) {
        switch (payload.ptr[i]) {
        case 'c':
            client_close(client, 1000, "close");
            break;
        case 'e':
            client_end(client, 1000, "end");
            break;
        case 'd':
            client_drop(client);
            break;
        case 'p':
            post_drop(client);
            break;
        case 'r':
            client_reply(client, slice_str("reply"));
            break;
        default:
            chat_publish_for(chat, client, slice_str("text"));
            break;
        }
    }
}

static void may_be_dropped_while_its_close_is_on_its_way(void)
{
    static const char *const orders[] = {"cd",  "dc",  "pc",   "cp",  "rd",   "rrpc",
                                         "ecd", "ced", "mpcr", "ccd", "rprc", "mdrcp",
                                         "ed",  "pe",  "rrrd", "e",   "dd"};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer, other;
        chat_start(&chat, &opts);
        chat.on_message = do_as_told;
        peer_join(&chat, &other, "lobby");
        peer_join(&chat, &peer, "lobby");
        CU_ASSERT_TRUE(peer_say(&peer, orders[i]));
        struct peer_frame frame;
        int opcode;
        while ((opcode = peer_receive(&peer, &frame)) >= 0)
            if (opcode == WS_CLOSE)
                CU_ASSERT_TRUE(peer_send_close(&peer, 1000));
        CU_ASSERT_EQUAL(opcode, PEER_END);
        peer_leave(&peer);
        CU_ASSERT_TRUE(peer_say(&other, "m"));
        do
            opcode = peer_receive(&other, &frame);
        while (opcode == WS_TEXT && !peer_hears_nothing(&other));
        CU_ASSERT_EQUAL(opcode, WS_TEXT);
        chat_ends_well(&chat, &other);
    }
}

/* The socket breaks in the very turn in which a protocol error asked for a Close. */
static void may_break_while_its_close_is_on_its_way(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    for (int reading = 0; reading <= 1; reading++) {
        struct peer peer;
        chat_start(&chat, &opts);
        peer_join(&chat, &peer, "lobby");
        if (reading == 0)
            (void)chat_fill_socket(&chat, &peer);
        struct chat_gate *gate = chat_hold(&chat, 0);
        CU_ASSERT_TRUE(peer_send_raw(&peer, "\xFF\xFF", 2));
        peer_leave(&peer);
        chat_release(gate);
        chat_ends_well(&chat, &peer);
    }
}

/* Ended before its socket came, while all are: the Close that came early is the answer to ours. */
static void a_close_that_came_early_is_heard(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    char early[32];
    opts.queue_messages = 1;
    chat_start(&chat, &opts);
    CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "x"));
        chat_settle(&chat);
    }
    CU_ASSERT_EQUAL(hub_drain(chat.hub, clock_monotonic_ms()), 1);
    size_t len = peer_write_frame(0x88, slice_of("\x03\xE8", 2), early);
    peer_attach(&peer, slice_of(early, len));
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_SLOW_CONSUMER));
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    chat_ends_well(&chat, &peer);
}

CU_TestInfo client_close_tests[] = {
    {"the_peers_close_code_is_echoed", the_peers_close_code_is_echoed},
    {"breaking_a_rule_ends_with_its_code", breaking_a_rule_ends_with_its_code},
    {"a_flood_behind_the_close_does_not_turn_it_into_a_reset",
     a_flood_behind_the_close_does_not_turn_it_into_a_reset},
    {"our_close_waits_for_the_peers", our_close_waits_for_the_peers},
    {"a_peer_that_does_not_answer_the_close_is_dropped",
     a_peer_that_does_not_answer_the_close_is_dropped},
    {"a_peer_that_never_ends_the_connection_is_dropped",
     a_peer_that_never_ends_the_connection_is_dropped},
    {"a_peer_that_does_not_take_the_close_is_dropped",
     a_peer_that_does_not_take_the_close_is_dropped},
    {"a_connection_that_breaks_is_gone_at_once", a_connection_that_breaks_is_gone_at_once},
    {"a_half_closed_connection_is_gone", a_half_closed_connection_is_gone},
    {"what_was_said_before_the_error_comes_before_the_close",
     what_was_said_before_the_error_comes_before_the_close},
    {"a_reply_that_is_owed_comes_before_the_close", a_reply_that_is_owed_comes_before_the_close},
    {"the_close_comes_behind_what_waits", the_close_comes_behind_what_waits},
    {"may_be_dropped_while_its_close_is_on_its_way", may_be_dropped_while_its_close_is_on_its_way},
    {"a_close_that_came_early_is_heard", a_close_that_came_early_is_heard},
    {"may_break_while_its_close_is_on_its_way", may_break_while_its_close_is_on_its_way},
    CU_TEST_INFO_NULL,
};
