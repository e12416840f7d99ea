/* Clients with a user: its rooms, its id, the end of its token. */
#include "core/chat/client.h"

#include <CUnit/CUnit.h>

#include "core/auth/user.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/chat/shard.h"
#include "tests/support/chat_peer.h"

/* A user whose token is over in so many milliseconds, leeway included. */
static struct user *user_for(const char *id, int64_t left_ms)
{
    struct user from = {.id = slice_str(id),
                        .expires_ms =
                            (uint64_t)((int64_t)clock_wall_ms() + left_ms - USER_LEEWAY_MS)};
    struct user *user = user_try_create(&from);
    CU_ASSERT_PTR_NOT_NULL_FATAL(user);
    return user;
}

static enum err admit_as(struct chat *chat, struct peer *peer, struct user *user, const char *room,
                         bool events)
{
    struct deflate_params deflate = {0};
    const struct hub_admission admission = {
        .room = slice_str(room), .deflate = &deflate, .events = events, .user = user};
    *peer = (struct peer){.fd = -1};
    return hub_admit(chat->hub, &admission, &peer->client);
}

static void join_as(struct chat *chat, struct peer *peer, struct user *user, const char *room,
                    bool events)
{
    CU_ASSERT_EQUAL_FATAL(admit_as(chat, peer, user, room, events), ERR_OK);
    peer_attach(peer, SLICE_NONE);
    chat_settle(chat);
}

static void start(struct chat *chat)
{
    struct hub_opts opts = chat_opts(1);
    chat_start(chat, &opts);
}

/* The client's count is gone with it. */
static void release_last(struct user *user)
{
    CU_ASSERT_EQUAL(atomic_load(&user->refs), 1);
    user_release(user);
}

static void a_client_is_known_by_its_user(void)
{
    struct chat chat;
    struct peer known, unknown;
    struct user *user = user_for("anna", 1000000);
    start(&chat);
    join_as(&chat, &known, user, NULL, false);
    join_as(&chat, &unknown, NULL, NULL, false);
    CU_ASSERT_TRUE(slice_equals_str(client_user_id(known.client), "anna"));
    CU_ASSERT_PTR_EQUAL(client_user(known.client), user);
    CU_ASSERT_FALSE(slice_equals(client_id(known.client), client_user_id(known.client)));
    CU_ASSERT_TRUE(slice_equals(client_id(unknown.client), client_user_id(unknown.client)));
    CU_ASSERT_PTR_NULL(client_user(unknown.client));
    peer_leave(&known);
    peer_leave(&unknown);
    chat_ends_well(&chat, NULL);
    release_last(user);
}

static void each_client_is_once_in_the_room_of_its_user(void)
{
    static const struct {
        const char *room;
        bool events;
    } rows[] = {{NULL, false},   {NULL, true},         {"lobby", false},
                {"lobby", true}, {"user:anna", false}, {"user:anna", true}};
    struct user *user = user_for("anna", 1000000);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct chat chat;
        struct peer peer;
        start(&chat);
        join_as(&chat, &peer, user, rows[i].room, rows[i].events);
        CU_ASSERT_TRUE(chat_publish(&chat, "user:anna", "for you"));
        CU_ASSERT_TRUE(chat_publish(&chat, NULL, "for all"));
        CU_ASSERT_TRUE(peer_hears(&peer, "for you"));
        CU_ASSERT_TRUE(peer_hears(&peer, "for all"));
        CU_ASSERT_EQUAL(chat_stats(&chat).rooms, rows[i].room != NULL && rows[i].room[0] == 'l');
        peer_leave(&peer);
        chat_ends_well(&chat, NULL);
    }
    release_last(user);
}

static void without_memory_a_user_is_not_admitted(void)
{
    struct chat chat;
    struct peer peer;
    struct user *user = user_for("anna", 1000000);
    unsigned nth = 0;
    enum err err = ERR_NOMEM;
    start(&chat);
    while (err == ERR_NOMEM) {
        mem_fail_after(++nth);
        err = admit_as(&chat, &peer, user, "lobby", true);
        mem_fail_after(0);
        CU_ASSERT_EQUAL(atomic_load(&user->refs), err == ERR_OK ? 2 : 1);
    }
    CU_ASSERT_TRUE(nth > 3);
    client_abandon(peer.client);
    chat_ends_well(&chat, NULL);
    release_last(user);
}

static void a_token_that_is_over_ends_its_connection(void)
{
    static const int64_t lefts_ms[] = {50, 0, -1000};
    for (size_t i = 0; i < sizeof lefts_ms / sizeof *lefts_ms; i++) {
        struct chat chat;
        struct peer ending, staying, without;
        struct user *user = user_for("anna", lefts_ms[i]), *other = user_for("ben", 1000000);
        start(&chat);
        join_as(&chat, &staying, other, "lobby", false);
        join_as(&chat, &without, NULL, "lobby", false);
        join_as(&chat, &ending, user, "lobby", false);
        CU_ASSERT_TRUE(peer_hears_close(&ending, WS_CLOSE_AUTH_ENDED));
        CU_ASSERT_TRUE(peer_send_close(&ending, WS_CLOSE_AUTH_ENDED));
        CU_ASSERT_TRUE(peer_hears_end(&ending));
        CU_ASSERT_EQUAL(chat_count(&chat, auth_ended_total), 1);
        CU_ASSERT_TRUE(chat_publish(&chat, "lobby", "still here"));
        CU_ASSERT_TRUE(peer_hears(&staying, "still here"));
        CU_ASSERT_TRUE(peer_hears(&without, "still here"));
        peer_leave(&ending);
        peer_leave(&staying);
        peer_leave(&without);
        chat_ends_well(&chat, NULL);
        release_last(user);
        release_last(other);
    }
}

struct change {
    struct client *client;
    struct user *user;
    uint64_t end_ms; /* when its token is over, by the loop's clock, from then on */
};

static void set_user(void *arg)
{
    struct change *change = arg;
    CU_ASSERT_EQUAL(client_set_user(change->client, change->user), ERR_OK);
    change->end_ms = agenda_at(&change->client->shard->expiries, &change->client->expiry);
}

static void a_new_token_replaces_the_old_one(void)
{
    enum { FIRST_MS = 100000, LONGER_MS = 1000000 };
    struct chat chat;
    struct peer peer;
    struct user *first = user_for("anna", FIRST_MS), *longer = user_for("anna", LONGER_MS),
                *shorter = user_for("anna", 50);
    start(&chat);
    join_as(&chat, &peer, first, NULL, false);
    struct change change = {.client = peer.client, .user = longer};
    chat_run_on(&chat, 0, set_user, &change);
    CU_ASSERT_TRUE(change.end_ms > clock_monotonic_ms() + FIRST_MS);
    CU_ASSERT_PTR_EQUAL(client_user(peer.client), longer);
    release_last(first);
    change.user = shorter;
    chat_run_on(&chat, 0, set_user, &change);
    release_last(longer);
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_AUTH_ENDED));
    CU_ASSERT_TRUE(clock_wall_ms() >= shorter->expires_ms + USER_LEEWAY_MS);
    peer_leave(&peer);
    chat_ends_well(&chat, NULL);
    release_last(shorter);
}

static void say_expiring(void *arg, struct client *client)
{
    (void)arg;
    client_reply(client, slice_str("expiring"));
}

/* Time goes on when the test says so. */
static void start_frozen(struct chat *chat)
{
    struct hub_opts opts = chat_opts_frozen(1);
    opts.on_expiring = say_expiring;
    opts.ping_interval_ms = opts.pong_timeout_ms = 1000000000;
    chat_start(chat, &opts);
}

enum { SECOND_MS = 1000 };

static void events_clients_hear_of_the_end_ahead(void)
{
    struct chat chat;
    struct peer events, plain;
    struct user *user = user_for("anna", 1000 * SECOND_MS);
    start_frozen(&chat);
    join_as(&chat, &events, user, NULL, true);
    join_as(&chat, &plain, user, NULL, false);
    chat_advance(&chat, 500 * SECOND_MS);
    CU_ASSERT_TRUE(peer_hears_nothing(&events));
    chat_advance(&chat, (500 - USER_LEEWAY_MS / SECOND_MS) * SECOND_MS - CLIENT_EXPIRING_MS);
    CU_ASSERT_TRUE(peer_hears(&events, "expiring"));
    CU_ASSERT_TRUE(peer_hears_nothing(&plain));
    chat_advance(&chat, 89 * SECOND_MS);
    CU_ASSERT_TRUE(peer_hears_nothing(&events));
    chat_advance(&chat, SECOND_MS);
    CU_ASSERT_TRUE(peer_hears_close(&plain, WS_CLOSE_AUTH_ENDED));
    /* By the wall, which stood still, its token was good for as long as ever. */
    CU_ASSERT_TRUE(peer_hears_nothing(&events));
    chat_advance(&chat, 1000 * SECOND_MS);
    CU_ASSERT_TRUE(peer_hears_close(&events, WS_CLOSE_AUTH_ENDED));
    peer_leave(&events);
    peer_leave(&plain);
    chat_ends_well(&chat, NULL);
    release_last(user);
}

static void whose_token_is_short_hears_so_at_once(void)
{
    static const int64_t lefts_ms[] = {90 * SECOND_MS, 30 * SECOND_MS};
    for (size_t i = 0; i < sizeof lefts_ms / sizeof *lefts_ms; i++) {
        struct chat chat;
        struct peer peer;
        struct user *user = user_for("anna", lefts_ms[i]);
        start_frozen(&chat);
        join_as(&chat, &peer, user, NULL, true);
        CU_ASSERT_TRUE(peer_hears(&peer, "expiring"));
        chat_advance(&chat, lefts_ms[i]);
        CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_AUTH_ENDED));
        peer_leave(&peer);
        chat_ends_well(&chat, NULL);
        release_last(user);
    }
}

static void a_new_token_is_warned_of_anew_and_an_old_one_is_not(void)
{
    struct chat chat;
    struct peer peer;
    struct user *first = user_for("anna", 80 * SECOND_MS), *again = user_try_create(first),
                *short_one = user_for("anna", 84 * SECOND_MS),
                *longer = user_for("anna", 1000 * SECOND_MS);
    start_frozen(&chat);
    join_as(&chat, &peer, first, NULL, true);
    CU_ASSERT_TRUE(peer_hears(&peer, "expiring"));
    struct change change = {.client = peer.client, .user = again};
    chat_run_on(&chat, 0, set_user, &change);
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer)); /* the same end: that is known */
    change.user = short_one;
    chat_run_on(&chat, 0, set_user, &change);
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer)); /* by half of its time */
    chat_advance(&chat, 42 * SECOND_MS);
    CU_ASSERT_TRUE(peer_hears(&peer, "expiring"));
    change.user = longer;
    chat_run_on(&chat, 0, set_user, &change);
    chat_advance(&chat, 500 * SECOND_MS);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    chat_advance(&chat, 410 * SECOND_MS);
    CU_ASSERT_TRUE(peer_hears(&peer, "expiring"));
    peer_leave(&peer);
    chat_ends_well(&chat, NULL);
    release_last(first);
    release_last(again);
    release_last(short_one);
    release_last(longer);
}

static void who_ends_already_is_not_warned(void)
{
    struct chat chat;
    struct peer peer;
    struct user *user = user_for("anna", 1000 * SECOND_MS);
    start_frozen(&chat);
    join_as(&chat, &peer, user, NULL, true);
    CU_ASSERT_TRUE(peer_send_close(&peer, WS_CLOSE_NORMAL));
    CU_ASSERT_TRUE(peer_hears_close(&peer, WS_CLOSE_NORMAL));
    chat_advance(&chat, 2000 * SECOND_MS);
    CU_ASSERT_TRUE(peer_hears_end(&peer));
    peer_leave(&peer);
    chat_ends_well(&chat, NULL);
    release_last(user);
}

static void many_tokens_that_end_together_all_end(void)
{
    enum { COUNT = SHARD_EXPIRIES_MAX + 50 };
    struct chat chat;
    struct peer *peers = mem_zalloc(COUNT * sizeof *peers);
    struct user *user = user_for("anna", 1000 * SECOND_MS);
    start_frozen(&chat);
    for (int i = 0; i < COUNT; i++)
        join_as(&chat, &peers[i], user, NULL, false);
    chat_advance(&chat, 1000 * SECOND_MS);
    for (int i = 0; i < COUNT; i++)
        CU_ASSERT_TRUE(peer_hears_close(&peers[i], WS_CLOSE_AUTH_ENDED));
    CU_ASSERT_EQUAL(chat_count(&chat, auth_ended_total), COUNT);
    for (int i = 0; i < COUNT; i++)
        peer_leave(&peers[i]);
    chat_ends_well(&chat, NULL);
    release_last(user);
    mem_free(peers);
}

static void rest(void *arg)
{
    client_rest(arg, 20);
}

static void who_rests_is_read_from_later(void)
{
    struct chat chat;
    struct peer peer;
    struct user *user = user_for("anna", 1000 * SECOND_MS);
    start_frozen(&chat);
    join_as(&chat, &peer, user, "lobby", false);
    for (int i = 0; i < 2; i++) /* one behind the other */
        chat_run_on(&chat, 0, rest, peer.client);
    CU_ASSERT_TRUE(peer_say(&peer, "hello"));
    chat_advance(&chat, 39);
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    chat_advance(&chat, 1);
    CU_ASSERT_TRUE(peer_hears(&peer, "hello"));
    peer_leave(&peer);
    chat_ends_well(&chat, NULL);
    release_last(user);
}

static void count_expiries(void *arg)
{
    struct change *change = arg;
    change->end_ms = client_shard(change->client)->expiries.count;
}

static void who_closes_has_no_end_to_wait_for(void)
{
    struct chat chat;
    struct peer leaving, staying;
    struct user *user = user_for("anna", 1000000);
    start(&chat);
    join_as(&chat, &leaving, user, NULL, false);
    join_as(&chat, &staying, NULL, NULL, false);
    struct change change = {.client = staying.client};
    chat_run_on(&chat, 0, count_expiries, &change);
    CU_ASSERT_EQUAL(change.end_ms, 1);
    CU_ASSERT_TRUE(peer_send_close(&leaving, WS_CLOSE_NORMAL));
    CU_ASSERT_TRUE(peer_hears_close(&leaving, WS_CLOSE_NORMAL));
    chat_run_on(&chat, 0, count_expiries, &change);
    CU_ASSERT_EQUAL(change.end_ms, 0);
    peer_leave(&leaving);
    peer_leave(&staying);
    chat_ends_well(&chat, NULL);
    release_last(user);
}

CU_TestInfo client_user_tests[] = {
    {"a_client_is_known_by_its_user", a_client_is_known_by_its_user},
    {"each_client_is_once_in_the_room_of_its_user", each_client_is_once_in_the_room_of_its_user},
    {"without_memory_a_user_is_not_admitted", without_memory_a_user_is_not_admitted},
    {"a_token_that_is_over_ends_its_connection", a_token_that_is_over_ends_its_connection},
    {"a_new_token_replaces_the_old_one", a_new_token_replaces_the_old_one},
    {"events_clients_hear_of_the_end_ahead", events_clients_hear_of_the_end_ahead},
    {"whose_token_is_short_hears_so_at_once", whose_token_is_short_hears_so_at_once},
    {"a_new_token_is_warned_of_anew_and_an_old_one_is_not",
     a_new_token_is_warned_of_anew_and_an_old_one_is_not},
    {"who_ends_already_is_not_warned", who_ends_already_is_not_warned},
    {"many_tokens_that_end_together_all_end", many_tokens_that_end_together_all_end},
    {"who_rests_is_read_from_later", who_rests_is_read_from_later},
    {"who_closes_has_no_end_to_wait_for", who_closes_has_no_end_to_wait_for},
    CU_TEST_INFO_NULL,
};
