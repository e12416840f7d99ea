#include "core/chat/flush.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "core/base/log.h"
#include "core/chat/shard.h"
#include "core/net/burst.h"
#include "tests/support/capture.h"
#include "tests/support/chat_peer.h"
#include "tests/support/chat_press.h"
#include "tests/support/forbid.h"
#include "tests/support/tcp.h"

enum { PEERS_MAX = 2 * BURST_MAX + 2 };

static struct peer peers[PEERS_MAX];

static void join_all(struct chat *chat, int count)
{
    for (int i = 0; i < count; i++) {
        CU_ASSERT_EQUAL_FATAL(peer_admit(chat, &peers[i], "lobby"), ERR_OK);
        peer_attach(&peers[i], SLICE_NONE);
    }
    chat_settle(chat);
}

static void end_all(struct chat *chat, int count)
{
    for (int i = 1; i < count; i++)
        peer_leave(&peers[i]);
    chat_ends_well(chat, &peers[0]);
}

/* A room of each size around which a burst begins, is full, and begins anew. */
static void every_member_hears_every_message_once(bool io_uring)
{
    static const int sizes[] = {1, 15, 16, 17, BURST_MAX - 1, BURST_MAX, BURST_MAX + 1, PEERS_MAX};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        opts.io_uring = io_uring;
        chat_start(&chat, &opts);
        join_all(&chat, sizes[s]);
        for (int i = 0; i < 3; i++) {
            char text[8];
            snprintf(text, sizeof text, "m%d", i);
            CU_ASSERT_TRUE(chat_publish(&chat, "lobby", text));
            chat_settle(&chat);
        }
        for (int i = 0; i < sizes[s]; i++) {
            CU_ASSERT_TRUE(peer_hears(&peers[i], "m0") && peer_hears(&peers[i], "m1") &&
                           peer_hears(&peers[i], "m2") && peer_hears_nothing(&peers[i]));
        }
        CU_ASSERT_EQUAL((int)chat_count(&chat, messages_delivered_total), 3 * sizes[s]);
        end_all(&chat, sizes[s]);
    }
}

static void rooms_of_every_size_hear_what_is_said(void)
{
    every_member_hears_every_message_once(true);
    every_member_hears_every_message_once(false);
}

/* One whose socket is full, one that has gone without a word: the others hear everything, and the
 * slow one does, too, once it reads. */
static void a_full_and_a_broken_member_harm_nobody_else(void)
{
    enum { COUNT = 40, SLOW = 7, BROKEN = 20 };
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer_frame frame;
    chat_start(&chat, &opts);
    peer_join(&chat, &peers[SLOW], "lobby");
    int filled = chat_fill_socket(&chat, &peers[SLOW]);
    uint32_t queued = chat_queued(&chat, &peers[SLOW]);
    for (int i = 0; i < COUNT; i++) {
        if (i == SLOW)
            continue;
        CU_ASSERT_EQUAL_FATAL(peer_admit(&chat, &peers[i], "lobby"), ERR_OK);
        if (i == BROKEN)
            peer_attach_tcp(&peers[i], SLICE_NONE);
        else
            peer_attach(&peers[i], SLICE_NONE);
    }
    chat_settle(&chat);
    struct chat_gate *gate = chat_hold(&chat, 0);
    struct chat_gate *behind_events = chat_hold_next(&chat, 0);
    CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "to all"));
    chat_release(gate);
    chat_await_gate(behind_events);
    tcp_reset(peers[BROKEN].fd);
    peers[BROKEN].fd = -1;
    chat_release(behind_events);
    chat_settle(&chat);
    for (int i = 0; i < COUNT; i++)
        if (i != SLOW && i != BROKEN)
            CU_ASSERT_TRUE(peer_hears(&peers[i], "to all") && peer_hears_nothing(&peers[i]));
    CU_ASSERT_EQUAL(chat_queued(&chat, &peers[SLOW]), queued + 1);
    for (int i = 0; i < filled; i++)
        CU_ASSERT_EQUAL(peer_receive(&peers[SLOW], &frame), WS_TEXT);
    CU_ASSERT_TRUE(peer_hears(&peers[SLOW], "to all"));
    chat_settle(&chat);
    CU_ASSERT_EQUAL((int)chat_count(&chat, messages_delivered_total), COUNT - 1 + filled);
    end_all(&chat, COUNT);
}

/* More than any socket has room for: what is left of the burst's sends waits and comes behind. */
static void take_a_part(void *arg)
{
    enum { COUNT = 20, LEN = 1000000 };
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer_frame frame;
    (void)arg;
    forbid_call(SYS_sendto, EPERM); /* so that the ring does it: the hub's threads inherit that */
    chat_start(&chat, &opts);
    if (hub_shard(chat.hub, 0)->burst == NULL) {
        fprintf(stderr, "no io_uring here, so what it sends is not tested\n");
        chat_stop(&chat);
        return;
    }
    for (int i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL_FATAL(peer_admit(&chat, &peers[i], "lobby"), ERR_OK);
        peer_attach_tcp(&peers[i], SLICE_NONE);
    }
    chat_settle(&chat);
    chat_publish_len(&chat, LEN, 'x');
    chat_settle(&chat);
    CU_ASSERT_TRUE(chat_count(&chat, bytes_sent_total) > 0);
    CU_ASSERT_EQUAL(chat_count(&chat, messages_delivered_total), 0);
    for (int i = 0; i < COUNT; i++)
        CU_ASSERT_EQUAL(chat_queued(&chat, &peers[i]), 1);
    CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "next"));
    for (int i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL(peer_receive(&peers[i], &frame), WS_TEXT);
        bool is_whole = frame.payload.len == LEN - 10;
        for (size_t at = 0; at < frame.payload.len; at++)
            is_whole &= frame.payload.ptr[at] == 'x';
        CU_ASSERT_TRUE(is_whole);
        CU_ASSERT_TRUE(peer_hears(&peers[i], "next"));
    }
    chat_settle(&chat);
    CU_ASSERT_EQUAL((int)chat_count(&chat, messages_delivered_total), 2 * COUNT);
    CU_ASSERT_EQUAL(chat_count(&chat, bytes_sent_total), (uint64_t)COUNT * (LEN + 6));
    end_all(&chat, COUNT);
}

static void what_a_burst_leaves_comes_later(void)
{
    forbid_on_thread(take_a_part, NULL);
}

/* --- where the kernel does not let us --- */

static void run_where_it_is_forbidden(void *arg)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(2);
    forbid_call(SYS_io_uring_setup, EPERM); /* the hub's threads inherit that */
    every_member_hears_every_message_once(true);
    chat_start(&chat, &opts);
    capture_begin(arg);
    log_open(LOG_INFO);
    for (unsigned i = 0; i < 2; i++)
        flush_open_burst(hub_shard(chat.hub, i)); /* as at the start, when the log was quiet */
    capture_end(arg);
    chat_stop(&chat);
}

static void where_io_uring_is_forbidden_rooms_hear_and_the_log_says_so_once(void)
{
    struct capture capture;
    forbid_on_thread(run_where_it_is_forbidden, &capture);
    char *line = strstr(capture.text, "io_uring:unavailable");
    CU_ASSERT_PTR_NOT_NULL_FATAL(line);
    CU_ASSERT_PTR_NOT_NULL(strstr(line, strerror(EPERM)));
    CU_ASSERT_PTR_NULL(strstr(line + 1, "io_uring:unavailable"));
    capture_fini(&capture);
}

CU_TestInfo flush_tests[] = {
    {"rooms_of_every_size_hear_what_is_said", rooms_of_every_size_hear_what_is_said},
    {"a_full_and_a_broken_member_harm_nobody_else", a_full_and_a_broken_member_harm_nobody_else},
    {"what_a_burst_leaves_comes_later", what_a_burst_leaves_comes_later},
    {"where_io_uring_is_forbidden_rooms_hear_and_the_log_says_so_once",
     where_io_uring_is_forbidden_rooms_hear_and_the_log_says_so_once},
    CU_TEST_INFO_NULL,
};
