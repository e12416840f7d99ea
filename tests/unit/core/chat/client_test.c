#include "core/chat/client.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/mem.h"
#include "core/chat/shard.h"
#include "tests/support/chat_peer.h"

static void ends_well(struct chat *chat, struct peer *peer)
{
    peer_leave(peer);
    CU_ASSERT_TRUE(chat_await_empty(chat));
    struct hub_stats stats = chat_stats(chat);
    CU_ASSERT_EQUAL(stats.connections, 0);
    CU_ASSERT_EQUAL(stats.rooms, 0);
    CU_ASSERT_EQUAL(stats.members, 0);
    chat_stop(chat);
}

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
    ends_well(&chat, &peer);
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
        ends_well(&chat, &peer);
    }
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
    ends_well(&chat, &peer);
}

static void reply_between(struct chat *chat, struct client *client, struct slice payload)
{
    chat_publish_for(chat, client, payload);
    client_reply(client, slice_str("reply"));
    chat_publish_for(chat, client, slice_str("after"));
}

/* Alone, and in the way of a global message of the same turn. */
static void a_reply_keeps_its_place_among_own_messages(void)
{
    for (int global = 0; global <= 1; global++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        chat_start(&chat, &opts);
        chat.on_message = reply_between;
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
        ends_well(&chat, &peer);
    }
}

/* --- slow consumers --- */

static void publish_len(struct chat *chat, size_t frame_len, char fill)
{
    char *text = mem_zalloc(frame_len);
    size_t len = frame_len - (frame_len <= 127 ? 2 : frame_len <= 65539 ? 4 : 10);
    memset(text, fill, len);
    CU_ASSERT_TRUE(chat_publish_bytes(chat, "lobby", slice_of(text, len)));
    mem_free(text);
}

struct peek {
    struct client *client;
    uint32_t messages;
    size_t bytes;
};

static void peek(void *arg)
{
    struct peek *peek = arg;
    peek->messages = peek->client->outq.messages;
    peek->bytes = peek->client->outq.bytes;
}

static uint32_t queued(struct chat *chat, struct peer *peer)
{
    struct peek seen = {.client = peer->client};
    chat_settle(chat);
    chat_run_on(chat, 0, peek, &seen);
    return seen.messages;
}

/* Without a socket nothing is taken: what is published is what waits. In one turn, or one each. */
static void as_many_messages_as_allowed_may_wait(void)
{
    enum { MAX = 5 };
    for (int in_one_turn = 0; in_one_turn <= 1; in_one_turn++) {
        for (int count = MAX - 1; count <= MAX + 1; count++) {
            struct chat chat;
            struct hub_opts opts = chat_opts(1);
            struct peer peer;
            bool slow = count > MAX;
            opts.queue_messages = MAX;
            chat_start(&chat, &opts);
            CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
            chat_settle(&chat);
            struct chat_gate *gate = in_one_turn ? chat_hold(&chat, 0) : NULL;
            for (int i = 0; i < count; i++) {
                CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "x"));
                if (gate == NULL)
                    chat_settle(&chat);
            }
            if (gate != NULL)
                chat_release(gate);
            chat_settle(&chat);
            CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), slow);
            CU_ASSERT_EQUAL((int)chat_count(&chat, messages_dropped_total), slow ? count : 0);
            peer_attach(&peer, SLICE_NONE);
            for (int i = 0; i < count && !slow; i++)
                CU_ASSERT_TRUE(peer_hears(&peer, "x"));
            if (slow)
                CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_SLOW_CONSUMER));
            ends_well(&chat, &peer);
        }
    }
}

static void as_many_bytes_as_allowed_may_wait(void)
{
    enum { MAX = 3000 };
    for (int past = -1; past <= 1; past++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        struct peer_frame frame;
        opts.queue_bytes = MAX;
        chat_start(&chat, &opts);
        CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
        publish_len(&chat, 1000, 'a');
        publish_len(&chat, (size_t)(MAX - 1000 + past), 'b');
        chat_settle(&chat);
        CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), past > 0);
        peer_attach(&peer, SLICE_NONE);
        for (int i = 0; i < 2 && past <= 0; i++)
            CU_ASSERT_EQUAL(peer_receive(&peer, &frame), WS_TEXT);
        if (past > 0)
            CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_SLOW_CONSUMER));
        ends_well(&chat, &peer);
    }
}

/* Publishes until the socket takes no more; returns how many messages that were. */
static int fill_socket(struct chat *chat, struct peer *peer)
{
    int count = 0;
    while (queued(chat, peer) == 0 && count < 100000) {
        publish_len(chat, 8000, (char)('a' + count % 26));
        count++;
    }
    return count;
}

/* What the socket took does not count; the frame that it took in part is finished, then comes the
 * Close. */
static void a_socket_that_is_full_counts_from_there(void)
{
    enum { MAX = 4 };
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    struct peer_frame frame;
    opts.queue_messages = MAX;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    int sent = fill_socket(&chat, &peer), whole = 0, opcode;
    for (uint32_t waiting = 1; waiting <= MAX; waiting++) {
        CU_ASSERT_EQUAL(queued(&chat, &peer), waiting);
        CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 0);
        publish_len(&chat, 8000, 'z');
        sent++;
    }
    chat_settle(&chat);
    CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 1);
    CU_ASSERT_FALSE(chat_publish(&chat, "lobby", "nobody is there any more"));
    while ((opcode = peer_receive(&peer, &frame)) == WS_TEXT) {
        CU_ASSERT_EQUAL(frame.payload.len, 8000 - 4);
        CU_ASSERT_EQUAL(frame.payload.ptr[0], frame.payload.ptr[frame.payload.len - 1]);
        whole++;
    }
    CU_ASSERT_EQUAL(opcode, WS_CLOSE);
    CU_ASSERT_EQUAL(frame.close_code, WS_CLOSE_SLOW_CONSUMER);
    chat_settle(&chat);
    CU_ASSERT_EQUAL((int)chat_count(&chat, messages_delivered_total), whole);
    CU_ASSERT_EQUAL((int)chat_count(&chat, messages_dropped_total), sent - whole);
    ends_well(&chat, &peer);
}

static void a_slow_consumer_that_reads_in_time_gets_everything(void)
{
    enum { MAX = 4 };
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    struct peer_frame frame;
    opts.queue_messages = MAX;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    for (int round = 0; round < 3; round++) {
        int sent = fill_socket(&chat, &peer);
        while (queued(&chat, &peer) < MAX) {
            publish_len(&chat, 8000, 'z');
            sent++;
        }
        for (int i = 0; i < sent; i++)
            CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_TEXT);
        CU_ASSERT_EQUAL(queued(&chat, &peer), 0);
    }
    CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 0);
    CU_ASSERT_EQUAL(chat_count(&chat, messages_dropped_total), 0);
    ends_well(&chat, &peer);
}

static void nobody_else_waits_for_a_slow_consumer(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer slow, quick;
    struct peer_frame frame;
    opts.queue_messages = 4;
    chat_start(&chat, &opts);
    peer_join(&chat, &slow, "lobby");
    peer_join(&chat, &quick, "lobby");
    for (int i = 0; chat_count(&chat, slow_consumers_total) == 0 && i < 10000; i++) {
        publish_len(&chat, 8000, 'a');
        CU_ASSERT_EQUAL_FATAL(peer_receive(&quick, &frame), WS_TEXT);
        CU_ASSERT_EQUAL(frame.payload.len, 8000 - 4);
    }
    CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 1);
    CU_ASSERT_TRUE(peer_say(&quick, "still here"));
    CU_ASSERT_TRUE(peer_hears(&quick, "still here"));
    peer_leave(&slow);
    ends_well(&chat, &quick);
}

/* While the socket is full the latest ping is answered, never a queue of them. */
static void under_pressure_the_latest_ping_is_answered(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    struct peer_frame frame;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    (void)fill_socket(&chat, &peer);
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; letters[i] != '\0'; i++)
        CU_ASSERT_TRUE(peer_send(&peer, WS_PING, slice_of(&letters[i], 1)));
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_say(&peer, "end"));
    chat_settle(&chat);
    int opcode, pongs = 0;
    while ((opcode = peer_receive(&peer, &frame)) != WS_PONG && opcode >= 0)
        ;
    /* How many came while the socket was full is the kernel's business; the last one is there. */
    while (opcode == WS_PONG && frame.payload.ptr[0] != 'z' && ++pongs < 30)
        opcode = peer_receive(&peer, &frame);
    CU_ASSERT_EQUAL(opcode, WS_PONG);
    CU_ASSERT_EQUAL(frame.payload.ptr[0], 'z');
    CU_ASSERT_TRUE(pongs < 25);
    CU_ASSERT_TRUE(peer_hears(&peer, "end"));
    ends_well(&chat, &peer);
}

/* --- holding senders back --- */

enum { SAID = 300, SAID_LEN = 8000 };

static void *say_much(void *arg)
{
    static char text[SAID_LEN];
    struct peer *peer = arg;
    memset(text, 's', sizeof text);
    for (int i = 0; i < SAID; i++) {
        (void)snprintf(text, sizeof text, "%d ", i);
        if (!peer_send(peer, WS_TEXT, slice_of(text, sizeof text)))
            return NULL;
    }
    return peer;
}

struct look {
    struct client *client;
    bool throttled;
};

static void look(void *arg)
{
    struct look *seen = arg;
    seen->throttled = seen->client->throttled;
}

static bool is_throttled(struct chat *chat, void *arg)
{
    struct look *seen = arg;
    chat_run_on(chat, 0, look, seen);
    return seen->throttled;
}

/* What it says comes back to it: it must not become a slow consumer by that. */
static void who_does_not_read_is_not_read_from(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    struct peer_frame frame;
    pthread_t thread;
    void *result;
    opts.queue_messages = 16;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, say_much, &peer), 0);
    struct look seen = {.client = peer.client};
    CU_ASSERT_TRUE(chat_await(&chat, is_throttled, &seen));
    CU_ASSERT_TRUE(chat_count(&chat, messages_received_total) < SAID);
    for (int i = 0; i < SAID; i++) {
        char expected[16];
        int len = snprintf(expected, sizeof expected, "%d ", i);
        CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_TEXT);
        CU_ASSERT_EQUAL(frame.payload.len, SAID_LEN);
        CU_ASSERT_EQUAL(memcmp(frame.payload.ptr, expected, (size_t)len), 0);
    }
    pthread_join(thread, &result);
    CU_ASSERT_PTR_NOT_NULL(result);
    CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 0);
    CU_ASSERT_FALSE(is_throttled(&chat, &seen));
    ends_well(&chat, &peer);
}

static void publish_and_note_pace(struct chat *chat, struct client *client, struct slice payload)
{
    atomic_bool *was_paced = chat->arg;
    chat_publish_for(chat, client, payload);
    client_count_publish(client, client_home(client), payload.len);
    if (list_has_link(&client->paced))
        atomic_store(was_paced, true);
}

enum { BURST = 400, BURST_TEXT_LEN = 100 };

/* In one write: however the machine is loaded, more than a turn's share is there to be read. */
static bool send_burst(struct peer *peer)
{
    static char bytes[BURST * (BURST_TEXT_LEN + 14)];
    char text[BURST_TEXT_LEN] = "";
    size_t len = 0;
    for (int i = 0; i < BURST; i++) {
        text[0] = (char)('a' + i % 26);
        len += peer_write_frame(0x80 | WS_TEXT, slice_of(text, sizeof text), bytes + len);
    }
    return peer_send_raw(peer, bytes, len);
}

/* A burst, beside a member that is behind or one that is not. Nothing of it is lost. */
static void a_burst_is_held_back_only_while_a_member_is_behind(void)
{
    for (int behind = 0; behind <= 1; behind++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer, member;
        struct peer_frame frame;
        atomic_bool was_paced = false;
        chat_start(&chat, &opts);
        chat.on_message = publish_and_note_pace;
        chat.arg = &was_paced;
        peer_join(&chat, &member, "lobby");
        if (behind)
            (void)fill_socket(&chat, &member);
        peer_join(&chat, &peer, "lobby");
        CU_ASSERT_TRUE(send_burst(&peer));
        for (int i = 0; i < BURST; i++) {
            CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_TEXT);
            CU_ASSERT_EQUAL(frame.payload.ptr[0], 'a' + i % 26);
        }
        CU_ASSERT_EQUAL(atomic_load(&was_paced), behind != 0);
        CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 0);
        peer_leave(&member);
        ends_well(&chat, &peer);
    }
}

/* A client may be gone while it is held back. */
static void who_is_held_back_may_leave(void)
{
    for (int politely = 0; politely <= 1; politely++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer, member;
        atomic_bool was_paced = false;
        chat_start(&chat, &opts);
        chat.on_message = publish_and_note_pace;
        chat.arg = &was_paced;
        peer_join(&chat, &member, "lobby");
        (void)fill_socket(&chat, &member);
        peer_join(&chat, &peer, "lobby");
        CU_ASSERT_TRUE(send_burst(&peer));
        if (politely)
            CU_ASSERT_TRUE(peer_send_close(&peer, 1000));
        peer_leave(&peer);
        ends_well(&chat, &member);
    }
}

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
        ends_well(&chat, &peer);
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
        ends_well(&chat, &peer);
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
        ends_well(&chat, &peer);
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
    ends_well(&chat, &peer);
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
    ends_well(&chat, &peer);
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
    ends_well(&chat, &peer);
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
        publish_len(&chat, 8000, 'a');
        chat_settle(&chat);
    }
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    /* What was in the kernel still comes or is gone; there is no Close. */
    struct peer_frame frame;
    int opcode;
    while ((opcode = peer_receive(&peer, &frame)) == WS_TEXT)
        ;
    CU_ASSERT_EQUAL(opcode, PEER_RESET);
    ends_well(&chat, &peer);
}

static void a_connection_that_breaks_is_gone_at_once(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_send_raw(&peer, "\x81", 1));
    ends_well(&chat, &peer);
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
    ends_well(&chat, &peer);
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
        ends_well(&chat, &peer);
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
    chat.on_message = reply_between;
    peer_join(&chat, &peer, "lobby");
    CU_ASSERT_TRUE(peer_send_raw(&peer, bytes, len));
    CU_ASSERT_TRUE(peer_hears(&peer, "before"));
    CU_ASSERT_TRUE(peer_hears(&peer, "reply"));
    CU_ASSERT_TRUE(peer_hears(&peer, "after"));
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_PROTOCOL_ERROR));
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    ends_well(&chat, &peer);
}

static void the_close_comes_behind_what_waits(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    struct peer_frame frame;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    int sent = fill_socket(&chat, &peer);
    CU_ASSERT_TRUE(peer_send_close(&peer, 1000));
    chat_settle(&chat);
    for (int i = 0; i < sent; i++)
        CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_TEXT);
    CU_ASSERT_TRUE(peer_hears_close(&peer, 1000));
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    CU_ASSERT_EQUAL(chat_count(&chat, messages_dropped_total), 0);
    ends_well(&chat, &peer);
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
        ends_well(&chat, &other);
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
            (void)fill_socket(&chat, &peer);
        struct chat_gate *gate = chat_hold(&chat, 0);
        CU_ASSERT_TRUE(peer_send_raw(&peer, "\xFF\xFF", 2));
        peer_leave(&peer);
        chat_release(gate);
        ends_well(&chat, &peer);
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
        ends_well(&chat, &peer);
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
    ends_well(&chat, &peer);
}

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
        ends_well(&chat, &peer);
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
    ends_well(&chat, &peer);
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
    ends_well(&chat, &peer);
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
    ends_well(&chat, &peers[0]);
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
    ends_well(&chat, &peer);
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
        ends_well(&chat, &peer);
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
    ends_well(&chat, &peer);
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
    ends_well(&chat, &peer);
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
    ends_well(&chat, &peer);
}

CU_TestInfo client_tests[] = {
    {"says_something_to_its_room", says_something_to_its_room},
    {"early_bytes_are_part_of_the_first_frames", early_bytes_are_part_of_the_first_frames},
    {"a_ping_is_answered_with_its_payload", a_ping_is_answered_with_its_payload},
    {"a_reply_keeps_its_place_among_own_messages", a_reply_keeps_its_place_among_own_messages},
    {"as_many_messages_as_allowed_may_wait", as_many_messages_as_allowed_may_wait},
    {"as_many_bytes_as_allowed_may_wait", as_many_bytes_as_allowed_may_wait},
    {"a_socket_that_is_full_counts_from_there", a_socket_that_is_full_counts_from_there},
    {"a_slow_consumer_that_reads_in_time_gets_everything",
     a_slow_consumer_that_reads_in_time_gets_everything},
    {"nobody_else_waits_for_a_slow_consumer", nobody_else_waits_for_a_slow_consumer},
    {"under_pressure_the_latest_ping_is_answered", under_pressure_the_latest_ping_is_answered},
    {"who_does_not_read_is_not_read_from", who_does_not_read_is_not_read_from},
    {"a_burst_is_held_back_only_while_a_member_is_behind",
     a_burst_is_held_back_only_while_a_member_is_behind},
    {"who_is_held_back_may_leave", who_is_held_back_may_leave},
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
    {"may_break_while_its_close_is_on_its_way", may_break_while_its_close_is_on_its_way},
    {"abandoned_before_and_after_messages", abandoned_before_and_after_messages},
    {"a_socket_that_cannot_be_used_ends_the_client", a_socket_that_cannot_be_used_ends_the_client},
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
