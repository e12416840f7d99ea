#include "core/chat/eviction.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "core/base/mem.h"
#include "tests/support/chat_peer.h"

extern CU_TestInfo eviction_tests[];

enum { LOOPS = 2, MEMBERS = 2 * ROOM_MEMBERS_TOGETHER };

static const struct eviction out = {.code = EVICTION_CODE, .reason = {.ptr = "out", .len = 3}};

static void start(struct chat *chat)
{
    struct hub_opts opts = chat_opts(LOOPS);
    chat_start(chat, &opts);
}

static bool hears_reason(struct peer *peer, unsigned code, const char *reason)
{
    struct peer_frame frame;
    return peer_receive(peer, &frame) == WS_CLOSE && frame.close_code == code &&
           slice_equals_str(frame.payload, reason);
}

/* So many that both loops have some. */
static void every_member_of_a_room_goes_and_nobody_else(void)
{
    static struct peer members[MEMBERS];
    struct peer other;
    struct chat chat;
    start(&chat);
    for (int i = 0; i < MEMBERS; i++)
        peer_join(&chat, &members[i], "lobby");
    peer_join(&chat, &other, "other");
    CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "last"));
    eviction_of_room(chat.hub, slice_str("lobby"), &out);
    for (int i = 0; i < MEMBERS; i++) {
        CU_ASSERT_TRUE(peer_hears(&members[i], "last"));
        CU_ASSERT_TRUE(hears_reason(&members[i], EVICTION_CODE, "out"));
    }
    chat_settle(&chat);
    CU_ASSERT_FALSE(chat_publish(&chat, "lobby", "nobody"));
    CU_ASSERT_TRUE(chat_publish(&chat, "other", "hi"));
    CU_ASSERT_TRUE(peer_hears(&other, "hi"));
    for (int i = 0; i < MEMBERS; i++)
        peer_leave(&members[i]);
    peer_leave(&other);
    chat_stop(&chat);
}

static void a_plain_client_is_known_by_its_id(void)
{
    struct chat chat;
    struct peer target, other;
    start(&chat);
    peer_join(&chat, &target, "lobby");
    peer_join(&chat, &other, "lobby");
    struct slice id = client_id(target.client);
    eviction_of_user(chat.hub, id, &out);
    CU_ASSERT_TRUE(hears_reason(&target, EVICTION_CODE, "out"));
    chat_settle(&chat);
    CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "hi"));
    CU_ASSERT_TRUE(peer_hears(&other, "hi"));
    peer_leave(&target);
    peer_leave(&other);
    chat_stop(&chat);
}

/* A client whose socket has not come yet hears of it when that comes. */
static void who_is_about_to_come_is_put_out_too(void)
{
    struct chat chat;
    struct peer late;
    start(&chat);
    CU_ASSERT_EQUAL(peer_admit(&chat, &late, "lobby"), ERR_OK);
    eviction_of_room(chat.hub, slice_str("lobby"), &out);
    chat_settle(&chat);
    peer_attach(&late, slice_str(""));
    CU_ASSERT_TRUE(hears_reason(&late, EVICTION_CODE, "out"));
    peer_leave(&late);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_stop(&chat);
}

static void the_reason_is_as_long_as_it_may_be(void)
{
    char reason[WS_CLOSE_REASON_MAX + 1];
    struct chat chat;
    struct peer peer;
    memset(reason, 'x', WS_CLOSE_REASON_MAX);
    reason[WS_CLOSE_REASON_MAX] = '\0';
    const struct eviction longest = {.code = 4999, .reason = slice_str(reason)};
    start(&chat);
    peer_join(&chat, &peer, "lobby");
    eviction_of_room(chat.hub, slice_str("lobby"), &longest);
    CU_ASSERT_TRUE(hears_reason(&peer, 4999, reason));
    peer_leave(&peer);
    chat_stop(&chat);
}

static void who_is_closing_already_keeps_its_code(void)
{
    struct chat chat;
    struct peer peer;
    start(&chat);
    peer_join(&chat, &peer, "lobby");
    struct chat_gate *gates[LOOPS];
    for (unsigned i = 0; i < LOOPS; i++)
        gates[i] = chat_hold(&chat, i);
    const struct eviction first = {.code = 4100, .reason = slice_str("first")};
    eviction_of_room(chat.hub, slice_str("lobby"), &first);
    eviction_of_user(chat.hub, client_id(peer.client), &out);
    for (unsigned i = 0; i < LOOPS; i++)
        chat_release(gates[i]);
    CU_ASSERT_TRUE(hears_reason(&peer, 4100, "first"));
    peer_leave(&peer);
    chat_stop(&chat);
}

static void nobody_there_is_nothing_to_do(void)
{
    struct chat chat;
    struct peer peer;
    start(&chat);
    peer_join(&chat, &peer, "lobby");
    eviction_of_room(chat.hub, slice_str("other"), &out);
    eviction_of_user(chat.hub, slice_str("ada"), &out);
    eviction_of_user(chat.hub, slice_str("01900000-0000-7000-8000-000000000000"), &out);
    eviction_of_user(chat.hub, slice_str(""), &out);
    chat_settle(&chat);
    CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "hi"));
    CU_ASSERT_TRUE(peer_hears(&peer, "hi"));
    peer_leave(&peer);
    chat_stop(&chat);
}

CU_TestInfo eviction_tests[] = {
    {"every_member_of_a_room_goes_and_nobody_else", every_member_of_a_room_goes_and_nobody_else},
    {"a_plain_client_is_known_by_its_id", a_plain_client_is_known_by_its_id},
    {"who_is_about_to_come_is_put_out_too", who_is_about_to_come_is_put_out_too},
    {"the_reason_is_as_long_as_it_may_be", the_reason_is_as_long_as_it_may_be},
    {"who_is_closing_already_keeps_its_code", who_is_closing_already_keeps_its_code},
    {"nobody_there_is_nothing_to_do", nobody_there_is_nothing_to_do},
    CU_TEST_INFO_NULL,
};
