/* Pods whose Redis dies, hangs, talks nonsense, or is not there. */
#include "core/bus/bus.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/base/clock.h"
#include "core/bus/publisher.h"
#include "tests/support/bus_pod.h"
#include "tests/support/fake_redis.h"
#include "tests/support/redis_server.h"

extern CU_TestInfo bus_away_tests[];

/* A number that no test uses. Numbers come once only in a test: a pod's equal payloads are taken
 * for repeats. */
enum { NEVER = 1000000 };

static struct redis_server server;

static void start_two(struct bus_pod *a, struct bus_pod *b, bool with_redis)
{
    signal(SIGPIPE, SIG_IGN);
    CU_ASSERT_FATAL(redis_server_init(&server, NULL));
    if (with_redis)
        CU_ASSERT_FATAL(redis_server_start(&server));
    bus_pod_start(a, "pod-a", redis_server_url(&server), 100);
    bus_pod_start(b, "pod-b", redis_server_url(&server), 100);
    bus_pod_want(b, "lobby", true);
    if (!with_redis)
        return;
    CU_ASSERT_TRUE(bus_pod_await_connected(a, true));
    CU_ASSERT_TRUE(bus_pod_await_subscribed(b, 1));
}

static void stop_two(struct bus_pod *a, struct bus_pod *b)
{
    bus_pod_stop(a, 1000);
    bus_pod_stop(b, 1000);
    redis_server_fini(&server);
}

static void say(struct bus_pod *pod, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        bus_pod_say(pod, "lobby", i);
}

static long long count_censuses(void)
{
    static const char mark[] = "cmdstat_pubsub|numsub:calls=";
    redisReply *reply = redis_server_command(&server, "INFO commandstats");
    const char *at = reply != NULL && reply->str != NULL ? strstr(reply->str, mark) : NULL;
    long long count = at != NULL ? strtoll(at + sizeof mark - 1, NULL, 10) : 0;
    freeReplyObject(reply);
    return count;
}

static bool has_counted(void *arg)
{
    return count_censuses() >= *(long long *)arg;
}

/* The number of subscribers that a pod counts before a loss is what it waits for afterwards: until
 * both have counted twice more. They ask equally often. */
static void let_them_count(struct bus_pod *a, struct bus_pod *b)
{
    say(a, NEVER, NEVER + 1);
    CU_ASSERT_TRUE(bus_pod_await_messages(b, 1));
    bus_pod_forget(b);
    long long enough = count_censuses() + 5;
    CU_ASSERT_TRUE(bus_pod_await(a, has_counted, &enough));
}

static void sends_what_waited_in_order_when_redis_is_back(void)
{
    struct bus_pod a, b;
    struct bus_stats stats;
    start_two(&a, &b, true);
    let_them_count(&a, &b);
    for (unsigned from = 0; from < 300; from += 100) {
        redis_server_kill(&server);
        CU_ASSERT_TRUE(bus_pod_await_connected(&a, false));
        CU_ASSERT_TRUE(bus_pod_await_connected(&b, false));
        say(&a, from, from + 50);
        bus_get_stats(a.bus, &stats);
        CU_ASSERT_EQUAL(stats.outbox_messages, 50);
        CU_ASSERT_TRUE(redis_server_start(&server));
        CU_ASSERT_TRUE(bus_pod_await_messages(&b, 50));
        say(&a, from + 50, from + 60);
        CU_ASSERT_TRUE(bus_pod_await_messages(&b, 60));
        CU_ASSERT_TRUE(bus_pod_took_sequence(&b, from, from + 60));
    }
    CU_ASSERT_TRUE(bus_pod_await_outbox(&a, 0));
    bus_get_stats(a.bus, &stats);
    CU_ASSERT_EQUAL(stats.reconnects_total, 3);
    CU_ASSERT_EQUAL(stats.outbox_dropped_total, 0);
    stop_two(&a, &b);
}

static void keeps_the_newest_up_to_its_bound(void)
{
    struct bus_pod a, b;
    struct bus_stats stats;
    start_two(&a, &b, true);
    let_them_count(&a, &b);
    redis_server_kill(&server);
    CU_ASSERT_TRUE(bus_pod_await_connected(&a, false));
    say(&a, 0, 101);
    bus_get_stats(a.bus, &stats);
    CU_ASSERT_EQUAL(stats.outbox_messages, 100);
    CU_ASSERT_EQUAL(stats.outbox_dropped_total, 1);
    CU_ASSERT_TRUE(redis_server_start(&server));
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 100));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 1, 101));
    stop_two(&a, &b);
}

struct last_number {
    struct bus_pod *pod;
    unsigned number;
    bool rises; /* no number came twice or too late */
};

static bool last_has_come(void *arg)
{
    struct last_number *last = arg;
    unsigned number = 0, before = 0;
    last->rises = true;
    pthread_mutex_lock(&last->pod->mutex);
    struct list *messages = &last->pod->messages;
    for (struct list_link *at = messages->head.next; at != &messages->head; at = at->next) {
        sscanf(LIST_ENTRY(at, struct bus_pod_message, link)->payload, "{\"n\":%u}", &number);
        last->rises &= at == messages->head.next || number > before;
        before = number;
    }
    pthread_mutex_unlock(&last->pod->mutex);
    return number == last->number;
}

/* The stream does not pause for the kill, so some messages are taken and not yet answered. */
static void loses_and_doubles_nothing_when_killed_in_the_stream(void)
{
    struct bus_pod a, b;
    struct bus_stats stats;
    unsigned next = 0;
    start_two(&a, &b, true);
    let_them_count(&a, &b);
    for (; next < 20; next++)
        say(&a, next, next + 1);
    redis_server_kill(&server);
    say(&a, next, next + 20);
    next += 20;
    CU_ASSERT_TRUE(redis_server_start(&server));
    say(&a, next, next + 20);
    next += 20;
    CU_ASSERT_TRUE(bus_pod_await_outbox(&a, 0));
    CU_ASSERT_TRUE(bus_pod_await_connected(&b, true));
    bus_get_stats(a.bus, &stats);
    CU_ASSERT_EQUAL(stats.outbox_dropped_total, 0);
    /* What Redis had taken from a and not given to b is gone with it: nobody can mend that. What
     * comes is in order, each once, up to the last one. */
    say(&a, next, next + 1);
    struct last_number last = {.pod = &b, .number = next};
    CU_ASSERT_TRUE(bus_pod_await(&b, last_has_come, &last));
    CU_ASSERT_TRUE(last.rises);
    CU_ASSERT(b.count >= 41);
    stop_two(&a, &b);
}

static void a_short_hang_delays_and_nothing_more(void)
{
    struct bus_pod a, b;
    struct bus_stats stats;
    start_two(&a, &b, true);
    let_them_count(&a, &b);
    bus_pod_freeze();
    redis_server_pause(&server);
    say(&a, 0, 80);
    bus_pod_settle(&a);
    bus_pod_skip(&a, BUS_ANSWER_TIMEOUT_MS / 2);
    bus_get_stats(a.bus, &stats);
    CU_ASSERT_EQUAL(stats.outbox_messages, 80);
    redis_server_resume(&server);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 80));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 80));
    bus_get_stats(a.bus, &stats);
    CU_ASSERT_EQUAL(stats.reconnects_total, 0);
    stop_two(&a, &b);
}

static uint64_t cpu_ms(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static bool is_over(void *arg)
{
    return clock_monotonic_ms() >= *(uint64_t *)arg;
}

/* What takes no processor time can only be seen to take none while real time goes on. */
static bool nobody_spins(struct bus_pod *pod)
{
    enum { LOOK_MS = 300 };
    uint64_t start_cpu_ms = cpu_ms(), end_ms = clock_monotonic_ms() + LOOK_MS;
    CU_ASSERT_TRUE(bus_pod_await(pod, is_over, &end_ms));
    return cpu_ms() - start_cpu_ms < LOOK_MS / 2;
}

/* a gives its connection up and sends everything again; b gets from Redis what the old connection
 * still brought as well as what the new one brings. */
static void a_long_hang_is_noticed_and_doubles_nothing(void)
{
    struct bus_pod a, b;
    start_two(&a, &b, true);
    let_them_count(&a, &b);
    bus_pod_freeze();
    redis_server_pause(&server);
    say(&a, 0, 80);
    bus_pod_settle(&a);
    /* It may have asked for a census just before, and counts from there. */
    bus_pod_skip(&a, BUS_ANSWER_TIMEOUT_MS - PUBLISHER_CENSUS_MS);
    CU_ASSERT_TRUE(bus_is_connected(a.bus));
    CU_ASSERT_TRUE(nobody_spins(&a));
    bus_pod_skip(&a, PUBLISHER_CENSUS_MS);
    CU_ASSERT_FALSE(bus_is_connected(a.bus));
    bus_pod_thaw();
    CU_ASSERT_TRUE(nobody_spins(&a));
    redis_server_resume(&server);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 80));
    CU_ASSERT_TRUE(bus_pod_await_outbox(&a, 0));
    say(&a, 80, 81);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 81));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 81));
    stop_two(&a, &b);
}

static bool has_no_subscription(void *arg)
{
    struct bus_pod *pod = arg;
    struct bus_stats stats;
    bus_get_stats(pod->bus, &stats);
    return stats.subscriptions == 0;
}

/* Longer than it takes to give up the subscribed connection too. */
static void a_very_long_hang_loses_nothing(void)
{
    struct bus_pod a, b;
    start_two(&a, &b, true);
    let_them_count(&a, &b);
    redis_server_pause(&server);
    say(&a, 0, 80);
    /* Until they ask whether Redis is there, and until they give up to be answered. */
    const uint64_t waits_ms[] = {0, BUS_KEEPALIVE_MS, BUS_ANSWER_TIMEOUT_MS};
    for (size_t i = 0; i < sizeof waits_ms / sizeof *waits_ms; i++) {
        bus_pod_skip(&a, waits_ms[i]);
        bus_pod_settle(&b);
    }
    CU_ASSERT_TRUE(bus_pod_await_connected(&b, false));
    CU_ASSERT_TRUE(bus_pod_await(&b, has_no_subscription, &b));
    redis_server_resume(&server);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 80));
    CU_ASSERT_TRUE(bus_pod_await_outbox(&a, 0));
    say(&a, 80, 81);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 81));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 81));
    stop_two(&a, &b);
}

static void starts_while_redis_is_away(void)
{
    struct bus_pod a, b;
    struct bus_stats stats;
    start_two(&a, &b, false);
    say(&a, 0, 10);
    bus_get_stats(a.bus, &stats);
    CU_ASSERT_FALSE(stats.connected || stats.ever_connected);
    CU_ASSERT_TRUE(redis_server_start(&server));
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 10));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 10));
    bus_get_stats(a.bus, &stats);
    CU_ASSERT_TRUE(stats.connected && stats.ever_connected);
    CU_ASSERT_EQUAL(stats.reconnects_total, 0);
    stop_two(&a, &b);
}

static void a_cut_subscription_comes_back(void)
{
    struct bus_pod a, b;
    start_two(&a, &b, true);
    let_them_count(&a, &b);
    freeReplyObject(redis_server_command(&server, "CLIENT KILL TYPE pubsub"));
    CU_ASSERT_TRUE(bus_pod_await_subscribed(&b, 2));
    CU_ASSERT_TRUE(bus_pod_await_connected(&b, true));
    say(&a, 0, 5);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 5));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 5));
    stop_two(&a, &b);
}

/* A script that runs for ever: Redis answers, and what it says is BUSY. */
static void an_error_that_passes_is_waited_out(void)
{
    struct bus_pod a, b;
    struct bus_stats stats;
    int done;
    start_two(&a, &b, true);
    let_them_count(&a, &b);
    freeReplyObject(redis_server_command(&server, "CONFIG SET busy-reply-threshold 1"));
    redisContext *script = redisConnectUnix(server.socket);
    CU_ASSERT_FATAL(script != NULL && script->err == 0);
    redisAppendCommand(script, "EVAL %s 0", "while true do end");
    CU_ASSERT_EQUAL(redisBufferWrite(script, &done), REDIS_OK);
    say(&a, 0, 10);
    CU_ASSERT_TRUE(bus_pod_await_connected(&a, false));
    say(&a, 10, 20);
    bus_get_stats(a.bus, &stats);
    CU_ASSERT(stats.outbox_messages >= 10);
    freeReplyObject(redis_server_command(&server, "SCRIPT KILL"));
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 20));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 20));
    redisFree(script);
    stop_two(&a, &b);
}

static void a_message_that_redis_refuses_is_dropped_alone(void)
{
    static const char *const args[] = {"--user",
                                       "ann",
                                       "on",
                                       ">w0rd",
                                       "~*",
                                       "+@all",
                                       "resetchannels",
                                       "&realtime:global",
                                       "&realtime:room:a*",
                                       NULL};
    static char user[] = "ann", word[] = "w0rd";
    struct bus_pod a, b;
    struct bus_stats stats;
    CU_ASSERT_FATAL(redis_server_init(&server, args));
    CU_ASSERT_FATAL(redis_server_start(&server));
    struct redis_url url = redis_server_url(&server);
    url.user = user;
    url.password = word;
    bus_pod_start(&a, "pod-a", url, 10);
    bus_pod_start(&b, "pod-b", url, 10);
    CU_ASSERT_TRUE(bus_pod_await_connected(&a, true));
    CU_ASSERT_TRUE(bus_pod_await_connected(&b, true));
    bus_pod_say(&a, NULL, 0);
    bus_pod_say(&a, "b", NEVER);
    bus_pod_say(&a, NULL, 1);
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 2));
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 2));
    CU_ASSERT_TRUE(bus_pod_await_outbox(&a, 0));
    bus_get_stats(a.bus, &stats);
    CU_ASSERT_EQUAL(stats.published_total, 2);
    CU_ASSERT_EQUAL(stats.outbox_dropped_total, 1);
    CU_ASSERT_EQUAL(stats.reconnects_total, 0);
    stop_two(&a, &b);
}

static void stops_in_time_while_redis_hangs(void)
{
    struct bus_pod a, b;
    start_two(&a, &b, true);
    let_them_count(&a, &b);
    redis_server_pause(&server);
    say(&a, 0, 10);
    uint64_t start_ms = clock_monotonic_ms();
    bus_pod_stop(&a, 300);
    bus_pod_stop(&b, 300);
    uint64_t took_ms = clock_monotonic_ms() - start_ms;
    CU_ASSERT(took_ms >= 300);
    CU_ASSERT(took_ms < BUS_ANSWER_TIMEOUT_MS); /* it is not the loss of Redis that ends it */
    redis_server_fini(&server);
}

static void stops_at_once_without_redis(void)
{
    struct bus_pod a, b;
    start_two(&a, &b, false);
    say(&a, 0, 10);
    uint64_t start_ms = clock_monotonic_ms();
    bus_pod_stop(&a, BUS_POD_WAIT_MS);
    bus_pod_stop(&b, BUS_POD_WAIT_MS);
    CU_ASSERT(clock_monotonic_ms() - start_ms < BUS_POD_WAIT_MS);
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

static void nobody_waits_without_redis(void)
{
    struct bus_pod a, b;
    struct flag_waiter waiter = {.waiter = {.room = slice_str("new"), .done = set_done}};
    start_two(&a, &b, false);
    bus_pod_freeze(); /* BUS_AWAIT_MS is never over */
    bus_pod_want(&a, "new", true);
    bus_await(a.bus, &waiter.waiter);
    CU_ASSERT_TRUE(bus_pod_await(&a, is_done, &waiter));
    stop_two(&a, &b);
}

static void waiters_of_a_hanging_redis_are_let_go(void)
{
    struct bus_pod a, b;
    struct flag_waiter first = {.waiter = {.room = slice_str("new"), .done = set_done}};
    struct flag_waiter second = {.waiter = {.room = slice_str("new"), .done = set_done}};
    start_two(&a, &b, true);
    bus_pod_freeze();
    redis_server_pause(&server);
    bus_pod_want(&a, "new", true);
    bus_await(a.bus, &first.waiter);
    bus_pod_skip(&a, BUS_AWAIT_MS - 1);
    CU_ASSERT_FALSE(is_done(&first));
    bus_pod_skip(&a, 1);
    CU_ASSERT_TRUE(is_done(&first));
    bus_await(a.bus, &second.waiter);
    bus_release_waiters(a.bus);
    CU_ASSERT_TRUE(bus_pod_await(&a, is_done, &second));
    redis_server_resume(&server);
    stop_two(&a, &b);
}

struct fake_pod {
    struct fake_redis *fake;
    struct bus_pod pod;
    unsigned least; /* connections that must come */
};

/* Time flies while nothing comes: the waits between attempts are long. */
static bool has_come_again(void *arg)
{
    struct fake_pod *fake_pod = arg;
    CU_ASSERT_FALSE(bus_is_connected(fake_pod->pod.bus));
    bus_pod_skip(&fake_pod->pod, 100);
    return fake_redis_await_connections(fake_pod->fake, fake_pod->least, clock_monotonic_ms());
}

static void start_fake_pod(struct fake_pod *fake_pod, const char *const *replies, unsigned least)
{
    fake_pod->least = least;
    fake_pod->fake = fake_redis_start(replies);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fake_pod->fake);
    bus_pod_start(&fake_pod->pod, "pod-a", fake_redis_url(fake_pod->fake), 10);
    bus_pod_say(&fake_pod->pod, NULL, 0);
}

static void stop_fake_pod(struct fake_pod *fake_pod)
{
    bus_pod_stop(&fake_pod->pod, 0);
    fake_redis_stop(fake_pod->fake);
}

/* Each of these is given up, tried again, and never called connected. */
static void nonsense_is_given_up_and_tried_again(void)
{
    static const char *const scripts[][4] = {
        {"hello\r\n", NULL},                              /* no RESP */
        {"$5\r\nabc", "de\r\n", NULL},                    /* a string for PONG */
        {"-WRONGPASS invalid\r\n", NULL},                 /* a login that fails */
        {"-ERR max number of clients reached\r\n", NULL}, /* a full Redis */
        {"-LOADING Redis is loading\r\n", NULL},          /* one that just starts */
        {"+PONG\r\n", ":1\r\n", NULL},                    /* no answer to SUBSCRIBE or NUMSUB */
        {"+PONG\r\n", "*1\r\n$1\r\nx\r\n", NULL},         /* an array too short */
        {"+PONG\r\n", "*3\r\n*0\r\n:1\r\n$-1\r\n", NULL}, /* of other types */
        /* the control channels refused, which is no reason, and then the global one */
        {"+PONG\r\n", "-NOPERM it\r\n-NOPERM own\r\n-NOPERM global\r\n", NULL},
        {"*-7\r\n", NULL}, /* a length below nothing */
    };
    enum { SCRIPTS = sizeof scripts / sizeof *scripts };
    struct fake_pod pods[SCRIPTS];
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < SCRIPTS; i++)
        start_fake_pod(&pods[i], scripts[i], 6);
    for (size_t i = 0; i < SCRIPTS; i++) {
        CU_ASSERT_TRUE(bus_pod_await(&pods[i].pod, has_come_again, &pods[i]));
        stop_fake_pod(&pods[i]);
    }
}

static void a_server_that_never_answers_is_given_up(void)
{
    static const char *const silence[] = {NULL};
    static const char *const half[] = {"+PO", NULL};
    const char *const *const scripts[] = {silence, half};
    for (size_t i = 0; i < 2; i++) {
        struct fake_pod pod;
        uint64_t start_ms = bus_pod_clock_ms();
        start_fake_pod(&pod, scripts[i], 3);
        CU_ASSERT_TRUE(bus_pod_await(&pod.pod, has_come_again, &pod));
        CU_ASSERT(bus_pod_clock_ms() - start_ms >= BUS_ANSWER_TIMEOUT_MS);
        stop_fake_pod(&pod);
    }
}

CU_TestInfo bus_away_tests[] = {
    {"sends_what_waited_in_order_when_redis_is_back",
     sends_what_waited_in_order_when_redis_is_back},
    {"keeps_the_newest_up_to_its_bound", keeps_the_newest_up_to_its_bound},
    {"loses_and_doubles_nothing_when_killed_in_the_stream",
     loses_and_doubles_nothing_when_killed_in_the_stream},
    {"a_short_hang_delays_and_nothing_more", a_short_hang_delays_and_nothing_more},
    {"a_long_hang_is_noticed_and_doubles_nothing", a_long_hang_is_noticed_and_doubles_nothing},
    {"a_very_long_hang_loses_nothing", a_very_long_hang_loses_nothing},
    {"starts_while_redis_is_away", starts_while_redis_is_away},
    {"a_cut_subscription_comes_back", a_cut_subscription_comes_back},
    {"an_error_that_passes_is_waited_out", an_error_that_passes_is_waited_out},
    {"a_message_that_redis_refuses_is_dropped_alone",
     a_message_that_redis_refuses_is_dropped_alone},
    {"stops_in_time_while_redis_hangs", stops_in_time_while_redis_hangs},
    {"stops_at_once_without_redis", stops_at_once_without_redis},
    {"nobody_waits_without_redis", nobody_waits_without_redis},
    {"waiters_of_a_hanging_redis_are_let_go", waiters_of_a_hanging_redis_are_let_go},
    {"nonsense_is_given_up_and_tried_again", nonsense_is_given_up_and_tried_again},
    {"a_server_that_never_answers_is_given_up", a_server_that_never_answers_is_given_up},
    CU_TEST_INFO_NULL,
};
