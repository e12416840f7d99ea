#include "core/chat/hub.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/ws/deflate.h"
#include "tests/support/chat_peer.h"

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
        /* The client, its work; its room, and the directory, which stays large once it has grown.
         */
        CU_ASSERT_EQUAL(nth, i == 0 ? 3 : 4);
        client_abandon(peer.client);
        CU_ASSERT_TRUE(chat_await_empty(&chat));
        mem_fail_after(i == 0 ? 2 : 3);
        CU_ASSERT_EQUAL(peer_admit(&chat, &peer, rooms[i]), ERR_NOMEM); /* its work */
        mem_fail_after(0);
        CU_ASSERT_EQUAL(chat_stats(&chat).slots, 0);
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

CU_TestInfo hub_memory_tests[] = {
    {"without_memory_for_a_place_in_its_room_a_client_is_told",
     without_memory_for_a_place_in_its_room_a_client_is_told},
    {"without_memory_nobody_is_admitted_and_nothing_stays",
     without_memory_nobody_is_admitted_and_nothing_stays},
    {"each_member_gets_the_form_that_was_agreed_on", each_member_gets_the_form_that_was_agreed_on},
    {"without_memory_on_the_loop_a_message_is_dropped_and_counted",
     without_memory_on_the_loop_a_message_is_dropped_and_counted},
    {"without_memory_for_its_queue_a_client_is_told_to_go",
     without_memory_for_its_queue_a_client_is_told_to_go},
    CU_TEST_INFO_NULL,
};
