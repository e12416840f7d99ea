#include "core/chat/client.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/chat/client_io.h"
#include "tests/support/chat_peer.h"
#include "tests/support/chat_press.h"

/* --- slow consumers --- */

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
            chat_ends_well(&chat, &peer);
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
        chat_publish_len(&chat, 1000, 'a');
        chat_publish_len(&chat, (size_t)(MAX - 1000 + past), 'b');
        chat_settle(&chat);
        CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), past > 0);
        peer_attach(&peer, SLICE_NONE);
        for (int i = 0; i < 2 && past <= 0; i++)
            CU_ASSERT_EQUAL(peer_receive(&peer, &frame), WS_TEXT);
        if (past > 0)
            CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_SLOW_CONSUMER));
        chat_ends_well(&chat, &peer);
    }
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
    int sent = chat_fill_socket(&chat, &peer), whole = 0, opcode;
    for (uint32_t waiting = 1; waiting <= MAX; waiting++) {
        CU_ASSERT_EQUAL(chat_queued(&chat, &peer), waiting);
        CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 0);
        chat_publish_len(&chat, 8000, 'z');
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
    chat_ends_well(&chat, &peer);
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
        int sent = chat_fill_socket(&chat, &peer);
        while (chat_queued(&chat, &peer) < MAX) {
            chat_publish_len(&chat, 8000, 'z');
            sent++;
        }
        for (int i = 0; i < sent; i++)
            CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_TEXT);
        CU_ASSERT_EQUAL(chat_queued(&chat, &peer), 0);
    }
    CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 0);
    CU_ASSERT_EQUAL(chat_count(&chat, messages_dropped_total), 0);
    chat_ends_well(&chat, &peer);
}

/* It lives by what it takes, not by what it says: it would let a full queue wait for ever. */
static void who_takes_nothing_is_slow_whatever_it_says(void)
{
    for (int reads = 0; reads <= 1; reads++) {
        struct chat chat;
        struct hub_opts opts = chat_opts_frozen(1);
        struct peer peer;
        struct peer_frame frame;
        opts.ping_interval_ms = 25000;
        opts.pong_timeout_ms = 60000;
        chat_start(&chat, &opts);
        peer_join(&chat, &peer, "lobby");
        chat_advance(&chat, 20000); /* only from then on does something wait */
        int sent = chat_fill_socket(&chat, &peer);
        for (int i = 0; i < 2; i++) {
            chat_advance(&chat, 29999);
            CU_ASSERT_TRUE(peer_send(&peer, WS_PONG, SLICE_NONE));
            chat_settle(&chat);
        }
        CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 0);
        for (int i = 0; i < sent && reads; i++)
            CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_TEXT);
        chat_settle(&chat);
        chat_advance(&chat, 2);
        CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), !reads);
        CU_ASSERT_EQUAL(chat_count(&chat, heartbeat_timeouts_total), 0);
        chat_ends_well(&chat, &peer);
    }
}

/* Fills the socket of the room's only member, and lets 80,000 bytes or a little less wait. */
static void fill_queue(struct chat *chat, struct peer *peer, const char *room)
{
    enum { WAITING = 10 };
    static const char text[7996];
    while (chat_queued(chat, peer) < WAITING)
        CU_ASSERT_TRUE_FATAL(chat_publish_bytes(chat, room, slice_of(text, sizeof text)));
}

static void who_took_nothing_for_longest_makes_room_for_all(void)
{
    enum { PEERS = 3 };
    static const char *const rooms[PEERS] = {"first", "second", "third"};
    struct chat chat;
    struct hub_opts opts = chat_opts_frozen(1);
    struct peer peers[PEERS];
    opts.queue_bytes = 100000;
    opts.queues_bytes = 200000;
    chat_start(&chat, &opts);
    for (int i = 0; i < PEERS; i++)
        peer_join(&chat, &peers[i], rooms[i]);
    for (int i = PEERS - 1; i >= 0; i--) {
        CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 0);
        fill_queue(&chat, &peers[i], rooms[i]);
        chat_settle(&chat);
        chat_advance(&chat, 1000);
    }
    CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 1);
    for (int i = 0; i < PEERS; i++)
        CU_ASSERT_EQUAL(chat_publish(&chat, rooms[i], "x"), i != PEERS - 1);
    peer_leave(&peers[0]);
    peer_leave(&peers[1]);
    chat_ends_well(&chat, &peers[2]);
}

static void what_several_wait_for_counts_once(void)
{
    enum { PEERS = 5 };
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peers[PEERS];
    opts.queue_bytes = 100000;
    opts.queues_bytes = 200000;
    chat_start(&chat, &opts);
    for (int i = 0; i < PEERS; i++)
        peer_join(&chat, &peers[i], "lobby");
    fill_queue(&chat, &peers[0], "lobby");
    CU_ASSERT_TRUE(chat_queued(&chat, &peers[PEERS - 1]) > 0);
    CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 0);
    for (int i = 1; i < PEERS; i++)
        peer_leave(&peers[i]);
    chat_ends_well(&chat, &peers[0]);
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
        chat_publish_len(&chat, 8000, 'a');
        CU_ASSERT_EQUAL_FATAL(peer_receive(&quick, &frame), WS_TEXT);
        CU_ASSERT_EQUAL(frame.payload.len, 8000 - 4);
    }
    CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 1);
    CU_ASSERT_TRUE(peer_say(&quick, "still here"));
    CU_ASSERT_TRUE(peer_hears(&quick, "still here"));
    peer_leave(&slow);
    chat_ends_well(&chat, &quick);
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
    (void)chat_fill_socket(&chat, &peer);
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
    chat_ends_well(&chat, &peer);
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
    chat_ends_well(&chat, &peer);
}

static void publish_and_note_pace(struct chat *chat, struct client *client, struct slice payload)
{
    atomic_bool *was_paced = chat->arg;
    chat_publish_for(chat, client, payload);
    client_count_publish(client, client_home(client), payload.len);
    if (client_is_paced(client))
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
            (void)chat_fill_socket(&chat, &member);
        peer_join(&chat, &peer, "lobby");
        CU_ASSERT_TRUE(send_burst(&peer));
        for (int i = 0; i < BURST; i++) {
            CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_TEXT);
            CU_ASSERT_EQUAL(frame.payload.ptr[0], 'a' + i % 26);
        }
        CU_ASSERT_EQUAL(atomic_load(&was_paced), behind != 0);
        CU_ASSERT_EQUAL(chat_count(&chat, slow_consumers_total), 0);
        peer_leave(&member);
        chat_ends_well(&chat, &peer);
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
        (void)chat_fill_socket(&chat, &member);
        peer_join(&chat, &peer, "lobby");
        CU_ASSERT_TRUE(send_burst(&peer));
        if (politely)
            CU_ASSERT_TRUE(peer_send_close(&peer, 1000));
        peer_leave(&peer);
        chat_ends_well(&chat, &member);
    }
}

CU_TestInfo client_slow_tests[] = {
    {"as_many_messages_as_allowed_may_wait", as_many_messages_as_allowed_may_wait},
    {"as_many_bytes_as_allowed_may_wait", as_many_bytes_as_allowed_may_wait},
    {"a_socket_that_is_full_counts_from_there", a_socket_that_is_full_counts_from_there},
    {"a_slow_consumer_that_reads_in_time_gets_everything",
     a_slow_consumer_that_reads_in_time_gets_everything},
    {"who_takes_nothing_is_slow_whatever_it_says", who_takes_nothing_is_slow_whatever_it_says},
    {"who_took_nothing_for_longest_makes_room_for_all",
     who_took_nothing_for_longest_makes_room_for_all},
    {"what_several_wait_for_counts_once", what_several_wait_for_counts_once},
    {"nobody_else_waits_for_a_slow_consumer", nobody_else_waits_for_a_slow_consumer},
    {"under_pressure_the_latest_ping_is_answered", under_pressure_the_latest_ping_is_answered},
    {"who_does_not_read_is_not_read_from", who_does_not_read_is_not_read_from},
    {"a_burst_is_held_back_only_while_a_member_is_behind",
     a_burst_is_held_back_only_while_a_member_is_behind},
    {"who_is_held_back_may_leave", who_is_held_back_may_leave},
    CU_TEST_INFO_NULL,
};
