#include "core/chat/hub.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/chat/shard.h"
#include "core/ws/deflate.h"
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

static void without_memory_nobody_is_admitted_and_nothing_stays(void)
{
    static const char *const rooms[] = {NULL, "lobby"};
    for (unsigned i = 0; i < 2; i++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        enum err err = ERR_NOMEM;
        unsigned nth = 0;
        chat_start(&chat, &opts);
        while (err != ERR_OK && nth < 20) {
            mem_fail_after(++nth);
            err = peer_admit(&chat, &peer, rooms[i]);
            mem_fail_after(0);
            CU_ASSERT_EQUAL(err, err != ERR_OK ? ERR_NOMEM : ERR_OK);
            CU_ASSERT_EQUAL(chat_stats(&chat).slots, err == ERR_OK);
            CU_ASSERT_EQUAL(chat_stats(&chat).rooms, err == ERR_OK && i == 1);
        }
        CU_ASSERT_EQUAL(nth, i == 0 ? 2 : 4); /* the client; its room, the directory */
        client_abandon(peer.client);
        CU_ASSERT_TRUE(chat_await_empty(&chat));
        chat_stop(&chat);
    }
}

/* The arrays of members have no room for a new one: for each of the two arrays. */
struct starve {
    unsigned nth;
    unsigned tries;
};

static void starve(void *arg)
{
    struct starve *starve = arg;
    starve->tries = mem_fail_after(starve->nth);
}

static void without_memory_for_a_place_in_its_room_a_client_is_told(void)
{
    for (unsigned nth = 1; nth <= 2; nth++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        chat_start(&chat, &opts);
        chat_run_on(&chat, 0, starve, &(struct starve){.nth = nth});
        CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
        chat_settle(&chat);
        chat_run_on(&chat, 0, starve, &(struct starve){.nth = 0});
        /* The first array of all: the hub's loops were found by a client that was in it. */
        if (nth == 1) {
            CU_ASSERT_EQUAL(chat_stats(&chat).rooms, 0);
            peer_attach(&peer, SLICE_NONE);
            CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_INTERNAL));
            CU_ASSERT_TRUE(peer_send_close(&peer, WS_CLOSE_INTERNAL));
            CU_ASSERT_TRUE(peer_hears_end(&peer));
            peer_leave(&peer);
        } else {
            client_abandon(peer.client);
        }
        CU_ASSERT_TRUE(chat_await_empty(&chat));
        CU_ASSERT_EQUAL(chat_stats(&chat).members, 0);
        chat_stop(&chat);
    }
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

/* --- compression --- */

static bool hears_compressed(struct peer *peer, struct slice text)
{
    struct peer_frame frame;
    struct buf out;
    if (peer_receive(peer, &frame) != WS_TEXT || !frame.compressed)
        return false;
    struct inflater *inflater = inflater_create();
    buf_init(&out, 65536);
    bool same = inflater_feed(inflater, frame.payload, true, &out) == ERR_OK &&
                slice_equals(buf_slice(&out), text);
    buf_fini(&out);
    inflater_destroy(inflater);
    return same;
}

static void each_member_gets_the_form_that_was_agreed_on(void)
{
    enum { MIN = 100 };
    static const struct deflate_params kinds[] = {
        {.enabled = true, .server_window_bits = 15, .client_window_bits = 15},
        {.enabled = true, .server_window_bits = 14, .client_window_bits = 15},
        {.enabled = false},
    };
    char text[MIN + 1];
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peers[3];
    opts.compress_min_bytes = MIN;
    chat_start(&chat, &opts);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(peer_admit_deflate(&chat, &peers[i], "lobby", &kinds[i]), ERR_OK);
        peer_attach(&peers[i], SLICE_NONE);
    }
    memset(text, 'x', sizeof text);
    for (size_t len = MIN - 1; len <= MIN + 1; len++) {
        CU_ASSERT_TRUE(chat_publish_bytes(&chat, "lobby", slice_of(text, len)));
        for (int i = 0; i < 3; i++) {
            struct peer_frame frame;
            if (i == 0 && len >= MIN) {
                CU_ASSERT_TRUE(hears_compressed(&peers[i], slice_of(text, len)));
                continue;
            }
            CU_ASSERT_EQUAL(peer_receive(&peers[i], &frame), WS_TEXT);
            CU_ASSERT_FALSE(frame.compressed);
            CU_ASSERT_EQUAL(frame.payload.len, len);
        }
    }
    for (int i = 0; i < 3; i++)
        peer_leave(&peers[i]);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_stop(&chat);
}

/* --- without memory --- */

static bool heard_one(struct chat *chat, void *arg)
{
    (void)arg;
    return chat_count(chat, messages_delivered_total) + chat_count(chat, messages_dropped_total) >=
           1;
}

/* Each allocation of the way through the loop in turn: the message comes, or is counted as
 * dropped, and the next one comes, unless the client was told to go. */
static void without_memory_on_the_loop_a_message_is_dropped_and_counted(void)
{
    bool failed = true;
    for (unsigned nth = 1; failed && nth < 20; nth++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        struct starve probe = {.nth = nth};
        chat_start(&chat, &opts);
        log_open(LOG_LEVELS); /* the drop is logged as an error */
        peer_join(&chat, &peer, "lobby");
        chat_run_on(&chat, 0, starve, &probe);
        CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "first"));
        CU_ASSERT_TRUE(chat_await(&chat, heard_one, NULL));
        probe.nth = 0;
        chat_run_on(&chat, 0, starve, &probe);
        failed = probe.tries >= nth;
        CU_ASSERT_EQUAL(chat_count(&chat, messages_dropped_total), failed);
        CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "second"));
        if (!failed)
            CU_ASSERT_TRUE(peer_hears(&peer, "first"));
        CU_ASSERT_TRUE(peer_hears(&peer, "second"));
        peer_leave(&peer);
        CU_ASSERT_TRUE(chat_await_empty(&chat));
        chat_stop(&chat);
    }
    CU_ASSERT_FALSE(failed);
}

/* The same for a client without a socket, whose queue needs memory, too. */
static void without_memory_for_its_queue_a_client_is_told_to_go(void)
{
    bool told = false, failed = true;
    for (unsigned nth = 1; failed && nth < 20; nth++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        struct starve probe = {.nth = nth};
        chat_start(&chat, &opts);
        log_open(LOG_LEVELS);
        CU_ASSERT_EQUAL(peer_admit(&chat, &peer, "lobby"), ERR_OK);
        chat_settle(&chat);
        chat_run_on(&chat, 0, starve, &probe);
        CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "first"));
        chat_settle(&chat);
        probe.nth = 0;
        chat_run_on(&chat, 0, starve, &probe);
        failed = probe.tries >= nth;
        peer_attach(&peer, SLICE_NONE);
        bool gone = !chat_publish(&chat, "lobby", "second");
        if (gone) {
            told = true;
            CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_INTERNAL));
        } else {
            if (!failed)
                CU_ASSERT_TRUE(peer_hears(&peer, "first"));
            CU_ASSERT_TRUE(peer_hears(&peer, "second"));
        }
        peer_leave(&peer);
        CU_ASSERT_TRUE(chat_await_empty(&chat));
        chat_stop(&chat);
    }
    CU_ASSERT_TRUE(told);
    CU_ASSERT_FALSE(failed);
}

/* --- interest --- */

struct changes {
    char text[256];
};

static void note_change(void *arg, struct slice room, bool wanted)
{
    struct changes *changes = arg;
    size_t len = strlen(changes->text);
    (void)snprintf(changes->text + len, sizeof changes->text - len, "%c%.*s ", wanted ? '+' : '-',
                   (int)room.len, room.ptr);
}

static void takes(struct chat *chat, const char *expected)
{
    struct changes changes = {""};
    hub_take_interest(chat->hub, note_change, &changes);
    CU_ASSERT_STRING_EQUAL(changes.text, expected);
}

static void enter(struct chat *chat, struct peer *peer, const char *room)
{
    CU_ASSERT_EQUAL_FATAL(peer_admit(chat, peer, room), ERR_OK);
}

static void leave(struct chat *chat, struct peer *peer)
{
    client_abandon(peer->client);
    chat_settle(chat);
}

static void changes_of_interest_come_in_order(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(2);
    struct peer a, b, c, more;
    chat_start(&chat, &opts);
    takes(&chat, "");
    CU_ASSERT_EQUAL(atomic_load(&chat.interest_calls), 0);
    enter(&chat, &a, "a");
    CU_ASSERT_EQUAL(atomic_load(&chat.interest_calls), 1);
    enter(&chat, &b, "b");
    enter(&chat, &more, "a"); /* the second member changes nothing */
    enter(&chat, &c, NULL);
    CU_ASSERT_EQUAL(atomic_load(&chat.interest_calls), 2);
    takes(&chat, "+a +b ");
    takes(&chat, "");
    leave(&chat, &a);
    takes(&chat, "");
    leave(&chat, &b);
    leave(&chat, &more);
    takes(&chat, "-b -a ");
    leave(&chat, &c);
    takes(&chat, "");
    CU_ASSERT_EQUAL(atomic_load(&chat.interest_calls), 4);
    chat_stop(&chat);
}

static void changes_that_cancel_out_are_not_told(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer a, b;
    chat_start(&chat, &opts);
    enter(&chat, &a, "a");
    enter(&chat, &b, "b");
    leave(&chat, &a);
    takes(&chat, "+b ");
    enter(&chat, &a, "a");
    leave(&chat, &a);
    enter(&chat, &a, "a");
    takes(&chat, "+a ");
    /* Gone and there again: the last word counts. */
    leave(&chat, &a);
    enter(&chat, &a, "a");
    takes(&chat, "-a +a ");
    leave(&chat, &a);
    leave(&chat, &b);
    chat_stop(&chat); /* with two changes that nobody took */
}

static void a_subscription_is_remembered_by_the_room(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer a;
    chat_start(&chat, &opts);
    enter(&chat, &a, "a");
    struct room *room = hub_find_room(chat.hub, slice_str("a"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(room);
    CU_ASSERT_FALSE(atomic_load(&room->subscribed));
    hub_mark_subscribed(chat.hub, slice_str("b")); /* which is gone already */
    CU_ASSERT_FALSE(atomic_load(&room->subscribed));
    hub_mark_subscribed(chat.hub, slice_str("a"));
    CU_ASSERT_TRUE(atomic_load(&room->subscribed));
    room_release(room);
    leave(&chat, &a);
    chat_stop(&chat);
}

/* --- statistics --- */

static int descending(const void *a, const void *b)
{
    return *(const int *)b - *(const int *)a;
}

static void the_largest_rooms_are_listed(void)
{
    enum { ROOMS = 40, CLIENTS = 400 };
    static struct peer peers[CLIENTS];
    int sizes[ROOMS] = {0};
    struct hub_room_count *out = mem_zalloc(sizeof *out * (ROOMS + 1));
    struct chat chat;
    struct hub_opts opts = chat_opts(2);
    uint32_t random = 5;
    chat_start(&chat, &opts);
    for (int i = 0; i < CLIENTS; i++) {
        char name[16];
        random = random * 1664525u + 1013904223u;
        uint32_t room =
            i < ROOMS ? (uint32_t)i : (random >> 16) % ROOMS * ((random >> 8) % ROOMS) / ROOMS;
        (void)snprintf(name, sizeof name, "room-%u", room);
        enter(&chat, &peers[i], name);
        sizes[room]++;
    }
    for (size_t max = 0; max <= ROOMS + 1; max++) {
        int sorted[ROOMS];
        size_t total = 0, count = hub_list_rooms(chat.hub, out, max, &total);
        memcpy(sorted, sizes, sizeof sizes);
        qsort(sorted, ROOMS, sizeof *sorted, descending);
        CU_ASSERT_EQUAL(total, ROOMS);
        CU_ASSERT_EQUAL(count, max < ROOMS ? max : ROOMS);
        for (size_t i = 0; i < count; i++) {
            char name[ROOM_NAME_MAX + 1] = "";
            memcpy(name, out[i].name, out[i].name_len);
            CU_ASSERT_EQUAL((int)out[i].members, sorted[i]);
            CU_ASSERT_EQUAL(sizes[strtol(name + strlen("room-"), NULL, 10)], sorted[i]);
        }
    }
    CU_ASSERT_EQUAL(chat_stats(&chat).members, CLIENTS);
    CU_ASSERT_EQUAL(chat_stats(&chat).rooms, ROOMS);
    for (int i = 0; i < CLIENTS; i++)
        client_abandon(peers[i].client);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    CU_ASSERT_EQUAL(chat_stats(&chat).members, 0);
    mem_free(out);
    chat_stop(&chat);
}

static void what_happens_is_counted(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer a, b;
    chat_start(&chat, &opts);
    peer_join(&chat, &a, "lobby");
    peer_join(&chat, &b, "lobby");
    CU_ASSERT_TRUE(peer_say(&a, "12345"));
    CU_ASSERT_TRUE(peer_hears(&a, "12345"));
    CU_ASSERT_TRUE(peer_hears(&b, "12345"));
    chat_settle(&chat);
    struct hub_stats stats = chat_stats(&chat);
    CU_ASSERT_EQUAL(stats.connections, 2);
    CU_ASSERT_EQUAL(stats.members, 2);
    CU_ASSERT_EQUAL(counter_get(&stats.counters.connections_total), 2);
    CU_ASSERT_EQUAL(counter_get(&stats.counters.messages_received_total), 1);
    CU_ASSERT_EQUAL(counter_get(&stats.counters.messages_delivered_total), 2);
    CU_ASSERT_EQUAL(counter_get(&stats.counters.bytes_received_total), 6 + 5);
    CU_ASSERT_EQUAL(counter_get(&stats.counters.bytes_sent_total), 2 * (2 + 5));
    uint64_t observed = 0;
    for (int i = 0; i < LATENCY_BUCKETS; i++)
        observed += counter_get(&stats.counters.latency_buckets[i]);
    CU_ASSERT_EQUAL(observed, 2);
    peer_leave(&a);
    peer_leave(&b);
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

static void expect_names(struct chat *chat, const char *prefix, const char *after, size_t max,
                         const char *names)
{
    struct hub_room_count rooms[8];
    char seen[64] = "";
    struct slice behind = after != NULL ? slice_str(after) : SLICE_NONE;
    size_t count = hub_list_rooms_by_name(chat->hub, slice_str(prefix), behind, rooms, max);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(seen);
        (void)snprintf(seen + len, sizeof seen - len, "%.*s=%u ", (int)rooms[i].name_len,
                       rooms[i].name, rooms[i].members);
    }
    if (strcmp(seen, names) != 0)
        CU_FAIL(names);
}

static void rooms_are_listed_by_name(void)
{
    static const char *const names[] = {"b", "ab", "a", "ab", "abc", "B"};
    enum { COUNT = sizeof names / sizeof *names };
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peers[COUNT];
    chat_start(&chat, &opts);
    for (size_t i = 0; i < COUNT; i++)
        CU_ASSERT_EQUAL(peer_admit(&chat, &peers[i], names[i]), ERR_OK);
    expect_names(&chat, "", NULL, 8, "B=1 a=1 ab=2 abc=1 b=1 ");
    expect_names(&chat, "", NULL, 5, "B=1 a=1 ab=2 abc=1 b=1 ");
    expect_names(&chat, "", NULL, 4, "B=1 a=1 ab=2 abc=1 ");
    expect_names(&chat, "", NULL, 1, "B=1 ");
    expect_names(&chat, "", NULL, 0, "");
    expect_names(&chat, "", "B", 2, "a=1 ab=2 ");
    expect_names(&chat, "", "aa", 2, "ab=2 abc=1 ");
    expect_names(&chat, "", "b", 8, "");
    expect_names(&chat, "a", NULL, 8, "a=1 ab=2 abc=1 ");
    expect_names(&chat, "ab", "ab", 8, "abc=1 ");
    expect_names(&chat, "x", NULL, 8, "");
    for (size_t i = 0; i < COUNT; i++)
        client_abandon(peers[i].client);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_stop(&chat);
}

CU_TestInfo hub_tests[] = {
    {"takes_max_clients_and_not_one_more", takes_max_clients_and_not_one_more},
    {"a_client_that_is_closing_keeps_its_place", a_client_that_is_closing_keeps_its_place},
    {"without_memory_nobody_is_admitted_and_nothing_stays",
     without_memory_nobody_is_admitted_and_nothing_stays},
    {"without_memory_for_a_place_in_its_room_a_client_is_told",
     without_memory_for_a_place_in_its_room_a_client_is_told},
    {"a_rooms_message_reaches_its_members_and_nobody_else",
     a_rooms_message_reaches_its_members_and_nobody_else},
    {"what_one_sender_says_comes_once_and_in_order", what_one_sender_says_comes_once_and_in_order},
    {"who_is_in_two_dirty_rooms_gets_both_in_order", who_is_in_two_dirty_rooms_gets_both_in_order},
    {"more_than_a_batch_in_one_turn_comes_whole_and_in_order",
     more_than_a_batch_in_one_turn_comes_whole_and_in_order},
    {"messages_before_the_socket_wait_for_it", messages_before_the_socket_wait_for_it},
    {"each_member_gets_the_form_that_was_agreed_on", each_member_gets_the_form_that_was_agreed_on},
    {"without_memory_on_the_loop_a_message_is_dropped_and_counted",
     without_memory_on_the_loop_a_message_is_dropped_and_counted},
    {"without_memory_for_its_queue_a_client_is_told_to_go",
     without_memory_for_its_queue_a_client_is_told_to_go},
    {"changes_of_interest_come_in_order", changes_of_interest_come_in_order},
    {"changes_that_cancel_out_are_not_told", changes_that_cancel_out_are_not_told},
    {"a_subscription_is_remembered_by_the_room", a_subscription_is_remembered_by_the_room},
    {"the_largest_rooms_are_listed", the_largest_rooms_are_listed},
    {"rooms_are_listed_by_name", rooms_are_listed_by_name},
    {"what_happens_is_counted", what_happens_is_counted},
    {"a_drain_delivers_closes_with_1001_and_waits", a_drain_delivers_closes_with_1001_and_waits},
    {"a_stop_drops_who_is_left", a_stop_drops_who_is_left},
    {"a_small_room_stays_on_one_loop", a_small_room_stays_on_one_loop},
    {"a_hub_that_never_ran_can_be_destroyed", a_hub_that_never_ran_can_be_destroyed},
    CU_TEST_INFO_NULL,
};
