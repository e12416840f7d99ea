/* Clients whose messages wait for a moment behind one of them. */
#include <CUnit/CUnit.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/chat/client.h"
#include "core/chat/shard.h"
#include "core/ws/deflate.h"
#include "core/ws/frame.h"
#include "tests/support/chat_peer.h"
#include "tests/support/tcp.h"

enum { HOLD_MS = 100 * 1000, OCTETS_MAX = 512 }; /* longer than any test waits */

/* A message that begins with `!` is published like the others, and holds up what is behind it. */
static void publish_and_hold(struct chat *chat, struct client *client, struct slice payload)
{
    if (payload.ptr[0] == '!')
        client_hold(client, HOLD_MS);
    chat_publish_for(chat, client, payload);
}

static void start(struct chat *chat, struct peer *sender, struct peer *other)
{
    struct hub_opts opts = chat_opts_frozen(1);
    chat_start(chat, &opts);
    chat->on_message = publish_and_hold;
    peer_join(chat, sender, "lobby");
    peer_join(chat, other, "lobby");
}

static void stop(struct chat *chat, struct peer *sender, struct peer *other)
{
    peer_leave(other);
    chat_ends_well(chat, sender);
}

/* Several messages as they go over the wire. */
struct octets {
    size_t len;
    char bytes[OCTETS_MAX];
};

static void add(struct octets *octets, unsigned first_octet, struct slice payload)
{
    octets->len += peer_write_frame(first_octet, payload, octets->bytes + octets->len);
}

static void add_text(struct octets *octets, const char *text)
{
    add(octets, 0x81, slice_str(text));
}

/* All of them in one write; NULL ends the list. */
static void say_at_once(struct peer *peer, const char *const *texts)
{
    struct octets octets = {0};
    for (; *texts != NULL; texts++)
        add_text(&octets, *texts);
    CU_ASSERT_TRUE(peer_send_raw(peer, octets.bytes, octets.len));
}

static void what_is_behind_waits(void)
{
    struct chat chat;
    struct peer sender, other;
    struct octets octets = {0};
    start(&chat, &sender, &other);
    add_text(&octets, "one");
    add_text(&octets, "!two");
    add_text(&octets, "three");
    add_text(&octets, "four");
    CU_ASSERT_TRUE(peer_send_raw(&sender, octets.bytes, octets.len));
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_say(&sender, "five"));
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_hears(&other, "one"));
    CU_ASSERT_TRUE(peer_hears(&other, "!two"));
    chat_advance(&chat, HOLD_MS - 1);
    CU_ASSERT_TRUE(peer_hears_nothing(&other));
    /* Others are not held up. */
    CU_ASSERT_TRUE(peer_say(&other, "meanwhile"));
    CU_ASSERT_TRUE(peer_hears(&other, "meanwhile"));
    chat_advance(&chat, 1);
    CU_ASSERT_TRUE(peer_hears(&other, "three"));
    CU_ASSERT_TRUE(peer_hears(&other, "four"));
    CU_ASSERT_TRUE(peer_hears(&other, "five"));
    /* Each octet once; a small frame has a head of six. */
    CU_ASSERT_EQUAL(chat_count(&chat, bytes_received_total),
                    octets.len + 6 + strlen("five") + 6 + strlen("meanwhile"));
    stop(&chat, &sender, &other);
}

static void each_may_hold_up_the_next(void)
{
    static const char *const texts[] = {"!1", "!2", "!3", "4", "!5", "6"};
    enum { TEXTS = sizeof texts / sizeof *texts };
    struct chat chat;
    struct peer sender, other;
    struct octets octets = {0};
    start(&chat, &sender, &other);
    for (size_t i = 0; i < TEXTS; i++)
        add_text(&octets, texts[i]);
    CU_ASSERT_TRUE(peer_send_raw(&sender, octets.bytes, octets.len));
    chat_settle(&chat);
    for (size_t i = 0; i < TEXTS; i++) {
        CU_ASSERT_TRUE(peer_hears(&other, texts[i]));
        if (texts[i][0] != '!')
            continue;
        CU_ASSERT_TRUE(peer_hears_nothing(&other));
        chat_advance(&chat, HOLD_MS);
    }
    stop(&chat, &sender, &other);
}

/* Wherever TCP cuts, and whatever kind of frame is cut. */
static void nothing_is_lost_however_it_is_cut(void)
{
    struct octets octets = {0};
    add_text(&octets, "!one");
    add(&octets, 0x01, slice_str("t"));
    add(&octets, 0x89, slice_str("ping"));
    add(&octets, 0x80, slice_str("wo"));
    add_text(&octets, "!three");
    add_text(&octets, "four");
    for (size_t cut = 1; cut < octets.len; cut++) {
        struct chat chat;
        struct peer sender, other;
        start(&chat, &sender, &other);
        CU_ASSERT_TRUE(peer_send_raw(&sender, octets.bytes, cut));
        chat_settle(&chat);
        CU_ASSERT_TRUE(peer_send_raw(&sender, octets.bytes + cut, octets.len - cut));
        chat_settle(&chat);
        chat_advance(&chat, HOLD_MS);
        chat_settle(&chat);
        chat_advance(&chat, HOLD_MS);
        CU_ASSERT_TRUE(peer_hears(&other, "!one"));
        CU_ASSERT_TRUE(peer_hears(&other, "two"));
        CU_ASSERT_TRUE(peer_hears(&other, "!three"));
        CU_ASSERT_TRUE(peer_hears(&other, "four"));
        stop(&chat, &sender, &other);
    }
}

static void a_close_behind_it_waits_its_turn(void)
{
    struct chat chat;
    struct peer sender, other;
    struct octets octets = {0};
    start(&chat, &sender, &other);
    add_text(&octets, "!one");
    add_text(&octets, "two");
    add(&octets, 0x88, slice_of("\x03\xE8", 2));
    CU_ASSERT_TRUE(peer_send_raw(&sender, octets.bytes, octets.len));
    chat_settle(&chat);
    chat_advance(&chat, HOLD_MS);
    CU_ASSERT_TRUE(peer_hears(&sender, "!one"));
    CU_ASSERT_TRUE(peer_hears(&sender, "two"));
    CU_ASSERT_TRUE(peer_hears_close(&sender, 1000));
    CU_ASSERT_TRUE(peer_hears_end(&sender));
    CU_ASSERT_TRUE(peer_hears(&other, "!one"));
    CU_ASSERT_TRUE(peer_hears(&other, "two"));
    stop(&chat, &sender, &other);
}

/* What arrived whole counts, though its sender is gone. */
static void who_hangs_up_is_heard_to_the_end(void)
{
    struct chat chat;
    struct peer sender, other;
    start(&chat, &sender, &other);
    say_at_once(&sender, (const char *const[]){"!one", "!two", "three", NULL});
    chat_settle(&chat);
    peer_leave(&sender);
    CU_ASSERT_TRUE(peer_hears(&other, "!one"));
    CU_ASSERT_TRUE(peer_hears(&other, "!two"));
    CU_ASSERT_TRUE(peer_hears(&other, "three"));
    peer_leave(&other);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_stop(&chat);
}

/* Some of them hold up the next. */
static void write_number(int i, char text[static 16])
{
    snprintf(text, 16, "%cnumber %d", i % 100 == 50 ? '!' : '.', i);
}

/* That is, also what the kernel holds still, behind what was put by or not: many reads' worth. */
static void what_was_not_read_yet_is_heard_too(void)
{
    enum { MORE = 1000 };
    for (int is_reset = 0; is_reset <= 1; is_reset++) {
        for (int has_stash = 0; has_stash <= 1; has_stash++) {
            struct chat chat;
            struct hub_opts opts = chat_opts_frozen(1);
            struct peer sender, other;
            char text[16];
            chat_start(&chat, &opts);
            chat.on_message = publish_and_hold;
            CU_ASSERT_EQUAL_FATAL(peer_admit(&chat, &sender, "lobby"), ERR_OK);
            peer_attach_tcp(&sender, SLICE_NONE);
            peer_join(&chat, &other, "lobby");
            say_at_once(&sender, (const char *const[]){"!one", has_stash ? "!two" : NULL, NULL});
            chat_settle(&chat);
            struct buf octets;
            buf_init(&octets, MORE * 64);
            for (int i = 0; i < MORE; i++) {
                char frame[64];
                write_number(i, text);
                buf_append(&octets, frame, peer_write_frame(0x81, slice_str(text), frame));
            }
            CU_ASSERT_TRUE(peer_send_raw(&sender, octets.ptr, octets.len));
            buf_fini(&octets);
            if (is_reset) {
                tcp_reset(sender.fd);
                sender.fd = -1;
            }
            peer_leave(&sender);
            CU_ASSERT_TRUE(peer_hears(&other, "!one"));
            if (has_stash)
                CU_ASSERT_TRUE(peer_hears(&other, "!two"));
            for (int i = 0; i < MORE; i++) {
                write_number(i, text);
                CU_ASSERT_TRUE_FATAL(peer_hears(&other, text));
            }
            chat_ends_well(&chat, &other);
        }
    }
}

/* Whoever notices that it is gone: who writes to it at once, or what waits for it. */
static void who_cannot_be_written_to_is_heard_to_the_end(void)
{
    for (int in_several = 0; in_several <= 1; in_several++) {
        struct chat chat;
        struct peer sender, other;
        start(&chat, &sender, &other);
        say_at_once(&sender, (const char *const[]){"!one", "!two", "three", NULL});
        chat_settle(&chat);
        CU_ASSERT_TRUE(peer_say(&sender, "four"));
        struct chat_gate *gate = chat_hold(&chat, 0);
        struct chat_gate *behind_events = chat_hold_next(&chat, 0);
        CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "news"));
        if (in_several)
            CU_ASSERT_TRUE(chat_publish(&chat, NULL, "news for all"));
        chat_release(gate);
        chat_await_gate(behind_events);
        peer_leave(&sender);
        chat_release(behind_events);
        CU_ASSERT_TRUE(peer_hears(&other, "!one"));
        CU_ASSERT_TRUE(peer_hears(&other, "news"));
        if (in_several)
            CU_ASSERT_TRUE(peer_hears(&other, "news for all"));
        CU_ASSERT_TRUE(peer_hears(&other, "!two"));
        CU_ASSERT_TRUE(peer_hears(&other, "three"));
        CU_ASSERT_TRUE(peer_hears(&other, "four"));
        chat_ends_well(&chat, &other);
    }
}

enum { LOST = 40 };

static atomic_int heard; /* the loop's thread counts, the test's reads */

static void hold_and_count(struct chat *chat, struct client *client, struct slice payload)
{
    atomic_fetch_add(&heard, 1);
    publish_and_hold(chat, client, payload);
}

/* What many left behind who broke off in one moment is not heard in one turn. */
static void others_do_not_wait_for_what_the_lost_left(void)
{
    struct chat chat;
    struct peer senders[LOST];
    struct hub_opts opts = chat_opts_frozen(1);
    struct chat_watch watch = {.counter = &heard, .until = 3 * LOST, .last = LOST};
    atomic_store(&heard, 0);
    chat_start(&chat, &opts);
    chat.on_message = hold_and_count;
    for (int i = 0; i < LOST; i++) {
        peer_join(&chat, &senders[i], "lobby");
        say_at_once(&senders[i], (const char *const[]){"!one", "!two", ".three", NULL});
    }
    chat_settle(&chat);
    CU_ASSERT_EQUAL(atomic_load(&heard), LOST);
    struct chat_gate *gate = chat_hold(&chat, 0);
    for (int i = 0; i < LOST; i++)
        peer_leave(&senders[i]);
    chat_watch_begin(&chat, 0, &watch);
    chat_release(gate);
    CU_ASSERT_TRUE(chat_watch_await(&chat, &watch));
    CU_ASSERT_EQUAL(atomic_load(&heard), 3 * LOST);
    CU_ASSERT_EQUAL(watch.most_in_a_turn, SHARD_UNPACED_MAX);
    CU_ASSERT_EQUAL(watch.turns, 2 * LOST / SHARD_UNPACED_MAX);
    chat_ends_well(&chat, NULL);
}

static void a_client_that_ends_meanwhile_is_told_so(void)
{
    struct chat chat;
    struct peer sender, other;
    struct octets octets = {0};
    start(&chat, &sender, &other);
    add_text(&octets, "!one");
    add(&octets, 0x82, slice_str("binary"));
    add_text(&octets, "two");
    CU_ASSERT_TRUE(peer_send_raw(&sender, octets.bytes, octets.len));
    chat_settle(&chat);
    client_close(sender.client, 4501, "enough");
    CU_ASSERT_TRUE(peer_hears(&sender, "!one"));
    CU_ASSERT_TRUE(peer_hears_close(&sender, 4501));
    CU_ASSERT_TRUE(peer_send_close(&sender, 4501));
    CU_ASSERT_TRUE(peer_hears_end(&sender));
    CU_ASSERT_TRUE(peer_hears(&other, "!one"));
    CU_ASSERT_TRUE(peer_hears_nothing(&other));
    stop(&chat, &sender, &other);
}

static void what_waits_goes_with_the_hub(void)
{
    struct chat chat;
    struct peer sender, other;
    start(&chat, &sender, &other);
    say_at_once(&sender, (const char *const[]){"!one", "two", NULL});
    chat_settle(&chat);
    chat_stop(&chat);
    peer_leave(&sender);
    peer_leave(&other);
}

/* --- what was compressed --- */

enum { LARGE = 60000, LARGE_COUNT = 40 };

static struct {
    int large, before_other; /* messages that came; of these, before the other client's */
} seen;

static void count_large(struct chat *chat, struct client *client, struct slice payload)
{
    (void)chat;
    (void)client;
    if (payload.len == LARGE)
        seen.large++;
    else
        seen.before_other = seen.large;
}

/* So many frames of some hundred bytes, each of which becomes LARGE. */
static void append_large(struct buf *out)
{
    char *text = mem_zalloc(LARGE), frame[1024];
    struct deflater *deflater = deflater_create(15);
    struct buf deflated;
    buf_init(&deflated, sizeof frame - 14);
    CU_ASSERT_EQUAL_FATAL(deflater_run(deflater, slice_of(text, LARGE), &deflated), ERR_OK);
    for (int i = 0; i < LARGE_COUNT; i++)
        buf_append(out, frame, peer_write_frame(0xC1, buf_slice(&deflated), frame));
    buf_fini(&deflated);
    deflater_destroy(deflater);
    mem_free(text);
}

static void others_come_between_messages_that_were_compressed(void)
{
    struct chat chat;
    struct peer sender, other;
    struct buf octets;
    struct hub_opts opts = chat_opts_frozen(1);
    const struct deflate_params deflate = {
        .enabled = true, .server_window_bits = 15, .client_window_bits = 15};
    chat_start(&chat, &opts);
    chat.on_message = count_large;
    seen.large = seen.before_other = 0;
    CU_ASSERT_EQUAL_FATAL(peer_admit_deflate(&chat, &sender, "lobby", &deflate), ERR_OK);
    peer_attach(&sender, SLICE_NONE);
    peer_join(&chat, &other, "lobby");
    buf_init(&octets, 1 << 20);
    append_large(&octets);
    struct chat_gate *gate = chat_hold(&chat, 0);
    CU_ASSERT_TRUE(peer_send_raw(&sender, octets.ptr, octets.len));
    CU_ASSERT_TRUE(peer_say(&other, "meanwhile"));
    chat_release(gate);
    for (int i = 0; i < LARGE_COUNT; i++)
        chat_settle(&chat);
    CU_ASSERT_EQUAL(seen.large, LARGE_COUNT);
    CU_ASSERT_EQUAL(seen.before_other, CLIENT_INFLATED_MAX / LARGE + 1);
    buf_fini(&octets);
    stop(&chat, &sender, &other);
}

/* Every message holds up what is behind it, for no time; only the last one is passed on. */
static void hold_each(struct chat *chat, struct client *client, struct slice payload)
{
    client_hold(client, 0);
    if (slice_equals_str(payload, "last"))
        chat_publish_for(chat, client, payload);
}

/* Nothing but the hold itself wakes the loop for what is behind. */
static void what_is_held_up_again_and_again_comes_to_its_end(void)
{
    struct chat chat;
    struct peer sender, other;
    struct octets octets = {0};
    start(&chat, &sender, &other);
    chat.on_message = hold_each;
    for (int i = 0; i < 30; i++)
        add_text(&octets, "more");
    add_text(&octets, "last");
    CU_ASSERT_TRUE(peer_send_raw(&sender, octets.bytes, octets.len));
    CU_ASSERT_TRUE(peer_hears(&other, "last"));
    stop(&chat, &sender, &other);
}

CU_TestInfo client_hold_tests[] = {
    {"what_is_behind_waits", what_is_behind_waits},
    {"each_may_hold_up_the_next", each_may_hold_up_the_next},
    {"nothing_is_lost_however_it_is_cut", nothing_is_lost_however_it_is_cut},
    {"a_close_behind_it_waits_its_turn", a_close_behind_it_waits_its_turn},
    {"who_hangs_up_is_heard_to_the_end", who_hangs_up_is_heard_to_the_end},
    {"what_was_not_read_yet_is_heard_too", what_was_not_read_yet_is_heard_too},
    {"who_cannot_be_written_to_is_heard_to_the_end", who_cannot_be_written_to_is_heard_to_the_end},
    {"others_do_not_wait_for_what_the_lost_left", others_do_not_wait_for_what_the_lost_left},
    {"a_client_that_ends_meanwhile_is_told_so", a_client_that_ends_meanwhile_is_told_so},
    {"what_waits_goes_with_the_hub", what_waits_goes_with_the_hub},
    {"others_come_between_messages_that_were_compressed",
     others_come_between_messages_that_were_compressed},
    {"what_is_held_up_again_and_again_comes_to_its_end",
     what_is_held_up_again_and_again_comes_to_its_end},
    CU_TEST_INFO_NULL,
};
