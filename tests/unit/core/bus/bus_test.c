/* Pods that talk through a real Redis which stays well. */
#include "core/bus/bus.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "tests/support/bus_pod.h"
#include "tests/support/redis_server.h"

extern CU_TestInfo bus_tests[];

static struct redis_server server;

static void start_server(const char *const *args)
{
    signal(SIGPIPE, SIG_IGN);
    CU_ASSERT_FATAL(redis_server_init(&server, args));
    CU_ASSERT_FATAL(redis_server_start(&server));
}

/* Publishes as another program would; returns how many subscribers took it. */
static long long publish(const char *channel, const char *payload, size_t len)
{
    redisReply *reply = redis_server_command(&server, "PUBLISH %s %b", channel, payload, len);
    long long count = reply != NULL && reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
    freeReplyObject(reply);
    return count;
}

static void start_two(struct bus_pod *a, struct bus_pod *b)
{
    start_server(NULL);
    bus_pod_start(a, "pod-a", redis_server_url(&server), 10000);
    bus_pod_start(b, "pod-b", redis_server_url(&server), 10000);
    CU_ASSERT_TRUE(bus_pod_await_connected(a, true));
    CU_ASSERT_TRUE(bus_pod_await_connected(b, true));
}

static void stop_two(struct bus_pod *a, struct bus_pod *b)
{
    bus_pod_stop(a, 1000);
    bus_pod_stop(b, 1000);
    redis_server_fini(&server);
}

static void two_pods_hear_each_other_and_not_themselves(void)
{
    struct bus_pod a, b;
    struct bus_stats stats;
    start_two(&a, &b);
    bus_pod_want(&b, "lobby", true);
    CU_ASSERT_TRUE(bus_pod_await_subscribed(&b, 1));
    bus_pod_say(&a, "lobby", 0);
    bus_pod_say(&a, NULL, 1);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 2));
    CU_ASSERT_STRING_EQUAL(bus_pod_first(&b)->room, "lobby");
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 2));
    bus_pod_say(&b, NULL, 7);
    CU_ASSERT_TRUE(bus_pod_await_messages(&a, 1));
    CU_ASSERT_PTR_NULL(bus_pod_first(&a)->room);
    CU_ASSERT_TRUE(bus_pod_took_sequence(&a, 7, 8));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 0));
    CU_ASSERT_TRUE(bus_pod_await_outbox(&a, 0));
    bus_get_stats(a.bus, &stats);
    CU_ASSERT_TRUE(stats.connected && stats.ever_connected);
    CU_ASSERT_EQUAL(stats.published_total, 2);
    CU_ASSERT_EQUAL(stats.received_total, 1);
    CU_ASSERT_EQUAL(stats.reconnects_total, 0);
    CU_ASSERT_EQUAL(stats.away_ms, 0);
    CU_ASSERT_EQUAL(stats.subscriptions, 1);
    CU_ASSERT_EQUAL(stats.outbox_bytes, 0);
    stop_two(&a, &b);
}

static void keeps_the_order_of_many(void)
{
    enum { MANY = 10000 };
    struct bus_pod a, b;
    start_two(&a, &b);
    for (unsigned i = 0; i < MANY; i++)
        bus_pod_say(&a, NULL, i);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, MANY));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, MANY));
    stop_two(&a, &b);
}

static void a_small_outbox_loses_nothing_while_redis_is_well(void)
{
    enum { MANY = 2000 };
    struct bus_pod a, b;
    start_server(NULL);
    bus_pod_start(&a, "pod-a", redis_server_url(&server), 5);
    bus_pod_start(&b, "pod-b", redis_server_url(&server), 5);
    CU_ASSERT_TRUE(bus_pod_await_connected(&a, true) && bus_pod_await_connected(&b, true));
    CU_ASSERT_TRUE(bus_pod_await_outbox(&a, 0));
    bus_pod_say(&a, NULL, 0);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 1)); /* it flows */
    for (unsigned i = 1; i < MANY; i++)
        bus_pod_say(&a, NULL, i);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, MANY));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, MANY));
    stop_two(&a, &b);
}

static long long count_channels(void)
{
    redisReply *reply = redis_server_command(&server, "PUBSUB CHANNELS realtime:room:*");
    long long count = reply != NULL ? (long long)reply->elements : -1;
    freeReplyObject(reply);
    return count;
}

static void subscriptions_follow_interest(void)
{
    enum { ROOMS = 1000 };
    struct bus_pod a, b;
    char room[32];
    start_two(&a, &b);
    for (unsigned i = 0; i < ROOMS; i++) {
        snprintf(room, sizeof room, "room %u", i);
        bus_pod_want(&a, room, true);
    }
    CU_ASSERT_TRUE(bus_pod_await_subscribed(&a, ROOMS));
    CU_ASSERT_EQUAL(count_channels(), ROOMS);
    for (unsigned i = 0; i < ROOMS - 1; i++) {
        snprintf(room, sizeof room, "room %u", i);
        bus_pod_want(&a, room, false);
    }
    bus_pod_want(&a, "after", true); /* Redis answers in order */
    CU_ASSERT_TRUE(bus_pod_await_subscribed(&a, ROOMS + 1));
    /* The batch that has "after" may be the one whose UNSUBSCRIBE comes behind it. */
    bus_pod_want(&a, "last", true);
    CU_ASSERT_TRUE(bus_pod_await_subscribed(&a, ROOMS + 2));
    CU_ASSERT_EQUAL(count_channels(), 3);
    stop_two(&a, &b);
}

static void foreign_payloads_come_as_they_are(void)
{
    static const char foreign[] = "{\"data\":{\"text\":\"hi\"}}";
    struct bus_pod a, b;
    start_two(&a, &b);
    CU_ASSERT_EQUAL(publish("realtime:global", foreign, sizeof foreign - 1), 2);
    CU_ASSERT_TRUE(bus_pod_await_messages(&a, 1));
    CU_ASSERT_STRING_EQUAL(bus_pod_first(&a)->payload, foreign);
    CU_ASSERT_FALSE(bus_pod_first(&a)->trusted);
    bus_pod_forget(&a);
    /* The same bytes of a program that is no pod are no repeat. */
    publish("realtime:global", foreign, sizeof foreign - 1);
    CU_ASSERT_TRUE(bus_pod_await_messages(&a, 1));
    stop_two(&a, &b);
}

static void drops_repeats_bad_utf8_and_what_is_too_large(void)
{
    static const char good[] = "{\"pod\":\"x\",\"n\":0}", bad[] = "{\"pod\":\"x\",\"n\":\"\xff\"}";
    static const char last[] = "{\"pod\":\"x\",\"n\":1}";
    struct bus_pod a, b;
    struct bus_stats stats;
    char *large = mem_zalloc(1024 * 1024 + 1);
    memset(large, ' ', 1024 * 1024 + 1);
    start_two(&a, &b);
    publish("realtime:global", good, sizeof good - 1);
    publish("realtime:global", good, sizeof good - 1);
    publish("realtime:global", bad, sizeof bad - 1);
    publish("realtime:global", large, 1024 * 1024 + 1);
    publish("realtime:global", last, sizeof last - 1);
    CU_ASSERT_TRUE(bus_pod_await_messages(&a, 2));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&a, 0, 2));
    bus_get_stats(a.bus, &stats);
    CU_ASSERT_EQUAL(stats.duplicates_total, 1);
    CU_ASSERT_EQUAL(stats.invalid_total, 2);
    bus_count_invalid(a.bus);
    bus_get_stats(a.bus, &stats);
    CU_ASSERT_EQUAL(stats.invalid_total, 3);
    /* At the bound it passes. */
    publish("realtime:global", large, 1024 * 1024);
    CU_ASSERT_TRUE(bus_pod_await_messages(&a, 1));
    mem_free(large);
    stop_two(&a, &b);
}

static void talks_with(struct redis_url url)
{
    struct bus_pod a, b;
    bus_pod_start(&a, "pod-a", url, 10);
    bus_pod_start(&b, "pod-b", url, 10);
    CU_ASSERT_TRUE(bus_pod_await_connected(&a, true));
    CU_ASSERT_TRUE(bus_pod_await_connected(&b, true));
    bus_pod_say(&a, NULL, 0);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 1));
    bus_pod_stop(&a, 1000);
    bus_pod_stop(&b, 1000);
}

static void logs_in_and_selects(void)
{
    static const char *const args[] = {"--requirepass", "s3cret word", "--user", "ann",   "on",
                                       ">w0rd",         "~*",          "&*",     "+@all", NULL};
    static char password[] = "s3cret word", user[] = "ann", word[] = "w0rd";
    start_server(args);
    struct redis_url url = redis_server_url(&server);
    url.password = password;
    url.db = 3;
    talks_with(url);
    url.user = user;
    url.password = word;
    talks_with(url);
    redis_server_fini(&server);
}

static void connects_through_a_unix_socket_and_by_name(void)
{
    static char name[] = "localhost";
    start_server(NULL);
    talks_with((struct redis_url){.unix_path = server.socket});
    talks_with((struct redis_url){.host = name, .port = server.port});
    redis_server_fini(&server);
}

static void flushes_before_it_stops(void)
{
    enum { MANY = 5000 };
    struct bus_pod a, b;
    start_two(&a, &b);
    for (unsigned i = 0; i < MANY; i++)
        bus_pod_say(&a, NULL, i);
    bus_pod_stop(&a, 10000);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, MANY));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, MANY));
    bus_pod_stop(&b, 1000);
    redis_server_fini(&server);
}

struct flag_waiter {
    struct bus_waiter waiter;
    atomic_bool done;
};

static void set_done(struct bus_waiter *waiter)
{
    atomic_store(&LIST_ENTRY(waiter, struct flag_waiter, waiter)->done, true);
}

static bool is_done(void *arg)
{
    return atomic_load(&((struct flag_waiter *)arg)->done);
}

/* A room's waiter is let go no later than its first message can be heard. */
static void waiter_is_let_go_when_the_room_stands(void)
{
    enum { ROUNDS = 50 };
    struct bus_pod a, b;
    char room[32];
    start_two(&a, &b);
    bus_pod_say(&b, NULL, ROUNDS); /* until b flows, its messages wait */
    CU_ASSERT_TRUE(bus_pod_await_messages(&a, 1));
    bus_pod_forget(&a);
    bus_pod_freeze(); /* BUS_AWAIT_MS is never over */
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct flag_waiter waiter = {.waiter.done = set_done};
        snprintf(room, sizeof room, "room %u", i);
        waiter.waiter.room = slice_str(room);
        bus_pod_want(&a, room, true);
        bus_await(a.bus, &waiter.waiter);
        CU_ASSERT_TRUE(bus_pod_await(&a, is_done, &waiter));
        bus_pod_say(&b, room, i);
        CU_ASSERT_TRUE(bus_pod_await_messages(&a, i + 1));
    }
    CU_ASSERT_TRUE(bus_pod_took_sequence(&a, 0, ROUNDS));
    stop_two(&a, &b);
}

static void pods_tell_all_or_one(void)
{
    struct bus_pod a, b, c;
    start_two(&a, &b);
    bus_pod_start(&c, "pod-c", redis_server_url(&server), 10000);
    CU_ASSERT_TRUE(bus_pod_await_connected(&c, true));
    bus_pod_tell(&a, NULL, 0, 7);
    bus_pod_tell(&a, "pod-b", 1, 0);
    bus_pod_tell(&a, "pod-c", 1, 0);
    bus_pod_tell(&a, "pod-d", 9, 0);
    bus_pod_tell(&a, NULL, 2, 0);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 3));
    CU_ASSERT_TRUE(bus_pod_await_messages(&c, 3));
    CU_ASSERT_EQUAL(bus_pod_await_reached(&a, 7), 3);
    CU_ASSERT_STRING_EQUAL(bus_pod_first(&b)->room, "pod-a");
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 3));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&c, 0, 3));
    bus_pod_stop(&c, 1000);
    bus_pod_tell(&a, NULL, 3, 8);
    CU_ASSERT_EQUAL(bus_pod_await_reached(&a, 8), 2);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 1));
    bus_pod_forget(&b);
    /* Nothing came to the one that told. */
    bus_pod_tell(&b, "pod-a", 0, 0);
    CU_ASSERT_TRUE(bus_pod_await_messages(&a, 1));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&a, 0, 1));
    stop_two(&a, &b);
}

static void only_pods_tell(void)
{
    static const char *const payloads[] = {
        "", "x", "{}", "{\"n\":9}", "{\"pod\":\"x\",\"n\":\xFF}", "{\"pod\":\"pod-b\",\"n\":9}"};
    struct bus_pod a, b;
    struct bus_stats stats;
    start_two(&a, &b);
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
        CU_ASSERT_EQUAL(publish("realtime-control:pod-b", payloads[i], strlen(payloads[i])), 1);
    bus_pod_tell(&a, "pod-b", 0, 0);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 1));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 1));
    bus_get_stats(b.bus, &stats);
    CU_ASSERT_EQUAL(stats.invalid_total, sizeof payloads / sizeof *payloads - 1);
    stop_two(&a, &b);
}

/* Nothing but bus_let_go, or the time, ends such a wait. */
static void waiter_without_a_room_waits(void)
{
    struct bus_pod a, b;
    start_two(&a, &b);
    bus_pod_freeze();
    struct flag_waiter waiter = {.waiter = {.done = set_done, .room = SLICE_NONE}};
    bus_await(a.bus, &waiter.waiter);
    bus_pod_want(&a, "lobby", true);
    CU_ASSERT_TRUE(bus_pod_await_subscribed(&a, 1));
    bus_pod_skip(&a, BUS_AWAIT_MS - 1);
    CU_ASSERT_FALSE(is_done(&waiter));
    bus_pod_skip(&a, 1);
    CU_ASSERT_TRUE(bus_pod_await(&a, is_done, &waiter));
    waiter = (struct flag_waiter){.waiter = {.done = set_done, .room = SLICE_NONE}};
    bus_await(a.bus, &waiter.waiter);
    bus_release_waiters(a.bus);
    CU_ASSERT_TRUE(bus_pod_await(&a, is_done, &waiter));
    stop_two(&a, &b);
}

CU_TestInfo bus_tests[] = {
    {"two_pods_hear_each_other_and_not_themselves", two_pods_hear_each_other_and_not_themselves},
    {"keeps_the_order_of_many", keeps_the_order_of_many},
    {"a_small_outbox_loses_nothing_while_redis_is_well",
     a_small_outbox_loses_nothing_while_redis_is_well},
    {"subscriptions_follow_interest", subscriptions_follow_interest},
    {"foreign_payloads_come_as_they_are", foreign_payloads_come_as_they_are},
    {"drops_repeats_bad_utf8_and_what_is_too_large", drops_repeats_bad_utf8_and_what_is_too_large},
    {"logs_in_and_selects", logs_in_and_selects},
    {"connects_through_a_unix_socket_and_by_name", connects_through_a_unix_socket_and_by_name},
    {"flushes_before_it_stops", flushes_before_it_stops},
    {"waiter_is_let_go_when_the_room_stands", waiter_is_let_go_when_the_room_stands},
    {"pods_tell_all_or_one", pods_tell_all_or_one},
    {"only_pods_tell", only_pods_tell},
    {"waiter_without_a_room_waits", waiter_without_a_room_waits},
    CU_TEST_INFO_NULL,
};
