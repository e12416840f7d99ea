/* Frames that end no message, and messages that are refused: the share of the loop's time that they
 * all have together. */
#include <CUnit/CUnit.h>

#include "core/chat/client.h"
#include "core/chat/client_io.h"
#include "core/ws/frame.h"
#include "tests/support/chat_peer.h"

enum {
    FRAMES_MAX = 64,
    /* Reads of CLIENT_CHATTER_FREE frames each that the share has room for. */
    READS = CLIENT_CHATTER_AHEAD_US / (CLIENT_CHATTER_FREE * CLIENT_CHATTER_US),
};

/* On the loop: so many reads of so many frames, all in one turn. */
struct reads {
    struct client *client;
    unsigned opcode;
    unsigned reads, frames;
    bool held; /* afterwards */
};

static void feed(void *arg)
{
    struct reads *reads = arg;
    char bytes[FRAMES_MAX * 8];
    size_t len = 0;
    for (unsigned i = 0; i < reads->frames; i++)
        len += peer_write_frame(0x80 | reads->opcode, slice_str("x"), bytes + len);
    for (unsigned i = 0; i < reads->reads; i++)
        client_feed(reads->client, slice_of(bytes, len));
    reads->held = client_is_paced(reads->client);
}

static bool is_held_after(struct chat *chat, const struct peer *peer, unsigned opcode,
                          unsigned reads, unsigned frames)
{
    struct reads how = {peer->client, opcode, reads, frames, false};
    chat_run_on(chat, 0, feed, &how);
    return how.held;
}

static void begin(struct chat *chat, struct peer *peer)
{
    struct hub_opts opts = chat_opts_frozen(1);
    chat_start(chat, &opts);
    peer_join(chat, peer, "lobby");
}

static void few_frames_in_a_read_never_wait(void)
{
    struct chat chat;
    struct peer peer;
    begin(&chat, &peer);
    CU_ASSERT_FALSE(is_held_after(&chat, &peer, WS_PONG, 1000, CLIENT_CHATTER_FREE - 1));
    chat_ends_well(&chat, &peer);
}

static void a_flood_waits_once_the_share_is_used_up(void)
{
    static const unsigned more[] = {0, 1, 2};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        struct chat chat;
        struct peer peer;
        begin(&chat, &peer);
        bool held = is_held_after(&chat, &peer, WS_PONG, READS + more[i], CLIENT_CHATTER_FREE);
        CU_ASSERT_EQUAL(held, more[i] > 0);
        chat_ends_well(&chat, &peer);
    }
}

static void the_share_is_one_for_all(void)
{
    struct chat chat;
    struct peer first, second;
    begin(&chat, &first);
    peer_join(&chat, &second, "another");
    CU_ASSERT_FALSE(is_held_after(&chat, &first, WS_PONG, READS, CLIENT_CHATTER_FREE));
    CU_ASSERT_TRUE(is_held_after(&chat, &second, WS_PONG, 1, CLIENT_CHATTER_FREE));
    /* Who says something meanwhile is heard at once. */
    CU_ASSERT_TRUE(peer_say(&first, "hello"));
    CU_ASSERT_TRUE(peer_hears(&first, "hello"));
    peer_leave(&second);
    chat_ends_well(&chat, &first);
}

static void messages_are_not_of_it(void)
{
    struct chat chat;
    struct peer peer;
    begin(&chat, &peer);
    CU_ASSERT_FALSE(is_held_after(&chat, &peer, WS_TEXT, 4, CLIENT_CHATTER_FREE));
    CU_ASSERT_FALSE(is_held_after(&chat, &peer, WS_PONG, READS, CLIENT_CHATTER_FREE));
    chat_ends_well(&chat, &peer);
}

static void refuse(struct chat *chat, struct client *client, struct slice payload)
{
    (void)chat;
    (void)payload;
    client_count_refused(client);
}

static void messages_that_are_refused_are(void)
{
    for (unsigned more = 0; more <= 1; more++) {
        struct chat chat;
        struct peer peer;
        begin(&chat, &peer);
        chat.on_message = refuse;
        bool held = is_held_after(&chat, &peer, WS_TEXT, READS + more, CLIENT_CHATTER_FREE);
        CU_ASSERT_EQUAL(held, more > 0);
        chat_ends_well(&chat, &peer);
    }
}

/* What waits is read when the share is there again. */
static void a_flood_goes_on_later(void)
{
    struct chat chat;
    struct peer peer;
    begin(&chat, &peer);
    CU_ASSERT_TRUE(is_held_after(&chat, &peer, WS_PONG, READS + 1, CLIENT_CHATTER_FREE));
    CU_ASSERT_TRUE(peer_say(&peer, "at last"));
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    chat_advance(&chat, CLIENT_CHATTER_AHEAD_US / 1000 + 1);
    CU_ASSERT_TRUE(peer_hears(&peer, "at last"));
    CU_ASSERT_FALSE(is_held_after(&chat, &peer, WS_PONG, 1, CLIENT_CHATTER_FREE));
    chat_ends_well(&chat, &peer);
}

CU_TestInfo client_chatter_tests[] = {
    {"few_frames_in_a_read_never_wait", few_frames_in_a_read_never_wait},
    {"a_flood_waits_once_the_share_is_used_up", a_flood_waits_once_the_share_is_used_up},
    {"the_share_is_one_for_all", the_share_is_one_for_all},
    {"messages_are_not_of_it", messages_are_not_of_it},
    {"messages_that_are_refused_are", messages_that_are_refused_are},
    {"a_flood_goes_on_later", a_flood_goes_on_later},
    CU_TEST_INFO_NULL,
};
