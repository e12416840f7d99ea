/* Clients that bring much at once: those who bring little do not wait for them. */
#include <CUnit/CUnit.h>
#include <stdatomic.h>

#include "core/base/buf.h"
#include "core/chat/client.h"
#include "core/chat/shard.h"
#include "tests/support/chat_peer.h"

enum {
    HEAVY = 12,
    FRAME_LEN = 16,
    READ_FRAMES = CLIENT_READ_MIN / FRAME_LEN, /* what a read brings, once that has settled */
    FLOOD_FRAMES = 20 * READ_FRAMES,
    SETTLING_FRAMES = (CLIENT_READ_FIRST + CLIENT_READ_FIRST / 2) / FRAME_LEN,
};

struct fixture {
    struct chat chat;
    struct peer heavy[HEAVY], light;
};

/* The loop's thread counts, the test's reads. */
static atomic_int heard, heard_before_light;

static void count(struct chat *chat, struct client *client, struct slice payload)
{
    (void)chat;
    (void)client;
    if (payload.ptr[0] == 'l')
        atomic_store(&heard_before_light, heard);
    else
        atomic_fetch_add(&heard, 1);
}

static void flood(struct peer *peer, int frames)
{
    static char bytes[FLOOD_FRAMES * FRAME_LEN];
    size_t len = 0;
    for (int i = 0; i < frames; i++)
        len += peer_write_frame(0x81, slice_str("0123456789"), bytes + len);
    CU_ASSERT_EQUAL(len, (size_t)frames * FRAME_LEN);
    CU_ASSERT_TRUE(peer_send_raw(peer, bytes, len));
}

/* Everybody is there, and known for what it is. */
static void begin(struct fixture *fixture)
{
    struct hub_opts opts = chat_opts_frozen(1);
    chat_start(&fixture->chat, &opts);
    fixture->chat.on_message = count;
    atomic_store(&heard, 0);
    atomic_store(&heard_before_light, -1);
    for (int i = 0; i < HEAVY; i++) {
        peer_join(&fixture->chat, &fixture->heavy[i], "lobby");
        flood(&fixture->heavy[i], SETTLING_FRAMES + READ_FRAMES);
    }
    peer_join(&fixture->chat, &fixture->light, "lobby");
    struct chat_watch watch = {.counter = &heard, .until = HEAVY * (SETTLING_FRAMES + READ_FRAMES)};
    chat_watch_begin(&fixture->chat, 0, &watch);
    CU_ASSERT_TRUE_FATAL(chat_watch_await(&fixture->chat, &watch));
    chat_advance(&fixture->chat, SHARD_LIGHT_MS + 1);
    atomic_store(&heard, 0);
}

static void end(struct fixture *fixture)
{
    for (int i = 0; i < HEAVY; i++)
        peer_leave(&fixture->heavy[i]);
    chat_ends_well(&fixture->chat, &fixture->light);
}

/* All of them flood in one moment; with or without one who brings little. Returns the most that a
 * turn brought. */
static int flood_all(struct fixture *fixture, bool with_light)
{
    struct chat_watch watch = {.counter = &heard, .until = HEAVY * FLOOD_FRAMES};
    struct chat_gate *gate = chat_hold(&fixture->chat, 0);
    for (int i = 0; i < HEAVY; i++)
        flood(&fixture->heavy[i], FLOOD_FRAMES);
    if (with_light)
        CU_ASSERT_TRUE(peer_say(&fixture->light, "light"));
    chat_watch_begin(&fixture->chat, 0, &watch);
    chat_release(gate);
    CU_ASSERT_TRUE(chat_watch_await(&fixture->chat, &watch));
    return watch.most_in_a_turn;
}

static void who_brings_little_is_heard_first(void)
{
    struct fixture fixture;
    begin(&fixture);
    flood_all(&fixture, true);
    CU_ASSERT_EQUAL(atomic_load(&heard_before_light), 0);
    end(&fixture);
}

static void a_turn_takes_so_much_of_them_while_there_are_others(void)
{
    struct fixture fixture;
    begin(&fixture);
    int most = flood_all(&fixture, true);
    CU_ASSERT_TRUE(most <= SHARD_HEAVY_MAX + READ_FRAMES);
    CU_ASSERT_TRUE(most >= SHARD_HEAVY_MAX - READ_FRAMES);
    end(&fixture);
}

static void alone_they_have_all_of_it(void)
{
    struct fixture fixture;
    begin(&fixture);
    CU_ASSERT_EQUAL(flood_all(&fixture, false), HEAVY * READ_FRAMES);
    end(&fixture);
}

/* Until SHARD_LIGHT_MS after what the other said. */
static void others_count_for_a_moment(void)
{
    static const int after_ms[] = {SHARD_LIGHT_MS - 1, SHARD_LIGHT_MS, SHARD_LIGHT_MS + 1};
    for (size_t i = 0; i < sizeof after_ms / sizeof *after_ms; i++) {
        struct fixture fixture;
        begin(&fixture);
        CU_ASSERT_TRUE(peer_say(&fixture.light, "light"));
        chat_settle(&fixture.chat);
        chat_advance(&fixture.chat, (uint64_t)after_ms[i]);
        bool is_bounded = flood_all(&fixture, false) <= SHARD_HEAVY_MAX + READ_FRAMES;
        CU_ASSERT_EQUAL(is_bounded, after_ms[i] <= SHARD_LIGHT_MS);
        end(&fixture);
    }
}

/* So that what others, elsewhere, say to members here is not held up; unless they are heavy, too.
 */
static void who_says_something_elsewhere_counts(void)
{
    for (int heavy = 0; heavy <= 1; heavy++) {
        struct fixture fixture;
        begin(&fixture);
        struct message *message = message_try_create(WS_TEXT, slice_str("hi"), 0);
        message->heavy = heavy;
        struct room *room = hub_find_room(fixture.chat.hub, slice_str("lobby"));
        hub_publish(fixture.chat.hub, room, message, &fixture.chat.compressor);
        chat_settle(&fixture.chat);
        bool is_bounded = flood_all(&fixture, false) <= SHARD_HEAVY_MAX + READ_FRAMES;
        CU_ASSERT_EQUAL(is_bounded, !heavy);
        message_release(message);
        room_release(room);
        end(&fixture);
    }
}

/* With what it said so far unread: nothing of it is lost, and nobody else is disturbed. */
static void one_that_is_put_off_may_end(void)
{
    struct fixture fixture;
    begin(&fixture);
    struct chat_gate *gate = chat_hold(&fixture.chat, 0);
    for (int i = 0; i < HEAVY; i++)
        flood(&fixture.heavy[i], FLOOD_FRAMES);
    CU_ASSERT_TRUE(peer_say(&fixture.light, "light"));
    for (int i = 0; i < HEAVY; i += 2)
        client_close(fixture.heavy[i].client, 4501, "enough");
    peer_leave(&fixture.heavy[1]);
    struct chat_watch watch = {.counter = &heard, .until = HEAVY / 2 * FLOOD_FRAMES};
    chat_watch_begin(&fixture.chat, 0, &watch);
    chat_release(gate);
    CU_ASSERT_TRUE(chat_watch_await(&fixture.chat, &watch));
    for (int i = 0; i < HEAVY; i += 2)
        CU_ASSERT_TRUE(peer_hears_close(&fixture.heavy[i], 4501));
    end(&fixture);
}

static void refuse(struct chat *chat, struct client *client, struct slice payload)
{
    count(chat, client, payload);
    client_count_refused(client);
}

/* What others left is (client_hold_test.c). */
static void what_a_flooder_left_is_not_heard(void)
{
    struct fixture fixture;
    begin(&fixture);
    fixture.chat.on_message = refuse;
    struct chat_gate *gate = chat_hold(&fixture.chat, 0);
    flood(&fixture.heavy[0], FLOOD_FRAMES);
    peer_leave(&fixture.heavy[0]);
    chat_release(gate);
    for (int i = 1; i < HEAVY; i++)
        peer_leave(&fixture.heavy[i]);
    peer_leave(&fixture.light);
    CU_ASSERT_TRUE(chat_await_empty(&fixture.chat));
    CU_ASSERT_EQUAL(atomic_load(&heard), READ_FRAMES);
    chat_ends_well(&fixture.chat, NULL);
}

/* Pings are chatter, too: what they are paused for by a late read ends without anybody's help. */
static void a_pause_that_begins_late_in_a_turn_ends(void)
{
    enum { PINGS = 4 * CLIENT_CHATTER_AHEAD_US / CLIENT_CHATTER_US };
    struct chat chat;
    struct hub_opts opts = chat_opts(1); /* with the real clock */
    struct peer peer;
    struct peer_frame frame;
    char ping[8];
    size_t len = peer_write_frame(0x89, SLICE_NONE, ping);
    struct buf octets;
    chat_start(&chat, &opts);
    peer_join(&chat, &peer, "lobby");
    buf_init(&octets, PINGS * sizeof ping);
    for (int i = 0; i < PINGS; i++)
        buf_append(&octets, ping, len);
    CU_ASSERT_TRUE(peer_send_raw(&peer, octets.ptr, octets.len));
    buf_fini(&octets);
    for (int i = 0; i < PINGS; i++)
        CU_ASSERT_EQUAL_FATAL(peer_receive(&peer, &frame), WS_PONG);
    chat_ends_well(&chat, &peer);
}

CU_TestInfo client_heavy_tests[] = {
    {"who_brings_little_is_heard_first", who_brings_little_is_heard_first},
    {"a_turn_takes_so_much_of_them_while_there_are_others",
     a_turn_takes_so_much_of_them_while_there_are_others},
    {"alone_they_have_all_of_it", alone_they_have_all_of_it},
    {"others_count_for_a_moment", others_count_for_a_moment},
    {"what_a_flooder_left_is_not_heard", what_a_flooder_left_is_not_heard},
    {"who_says_something_elsewhere_counts", who_says_something_elsewhere_counts},
    {"one_that_is_put_off_may_end", one_that_is_put_off_may_end},
    {"a_pause_that_begins_late_in_a_turn_ends", a_pause_that_begins_late_in_a_turn_ends},
    CU_TEST_INFO_NULL,
};
