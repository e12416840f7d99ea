/* A Redis user whose rights do not reach to every room. */
#include "core/bus/bus.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/support/bus_pod.h"
#include "tests/support/redis_server.h"

extern CU_TestInfo bus_rights_tests[];

static struct redis_server server;

/* Its user may hear of rooms that begin with an a. */
static void start_one(struct bus_pod *pod)
{
    static const char *const args[] = {"--user",
                                       "ann",
                                       "on",
                                       ">w0rd",
                                       "~*",
                                       "+@all",
                                       "resetchannels",
                                       "&realtime-control*",
                                       "&realtime:global",
                                       "&realtime:room:a*",
                                       NULL};
    static char user[] = "ann", word[] = "w0rd";
    signal(SIGPIPE, SIG_IGN);
    CU_ASSERT_FATAL(redis_server_init(&server, args));
    CU_ASSERT_FATAL(redis_server_start(&server));
    struct redis_url url = redis_server_url(&server);
    url.user = user;
    url.password = word;
    bus_pod_start(pod, "pod-a", url, 10);
    CU_ASSERT_TRUE(bus_pod_await_connected(pod, true));
}

static void stop_one(struct bus_pod *pod)
{
    bus_pod_stop(pod, 1000);
    redis_server_fini(&server);
}

static void command(const char *text)
{
    redisReply *reply = redis_server_command(&server, text);
    CU_ASSERT(reply != NULL && reply->type != REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

enum outcome { WAITS, STANDS, REFUSED };

struct flag_waiter {
    struct bus_waiter waiter;
    atomic_int outcome;
};

static void set_outcome(struct bus_waiter *waiter)
{
    struct flag_waiter *flag = LIST_ENTRY(waiter, struct flag_waiter, waiter);
    atomic_store(&flag->outcome, waiter->refused ? REFUSED : STANDS);
}

static bool has_outcome(void *arg)
{
    return atomic_load(&((struct flag_waiter *)arg)->outcome) != WAITS;
}

static enum outcome await_room(struct bus_pod *pod, const char *room)
{
    struct flag_waiter waiter = {.waiter = {.room = slice_str(room), .done = set_outcome}};
    bus_await(pod->bus, &waiter.waiter);
    CU_ASSERT_TRUE_FATAL(bus_pod_await(pod, has_outcome, &waiter));
    return (enum outcome)atomic_load(&waiter.outcome);
}

static size_t count_told(struct bus_pod *pod)
{
    pthread_mutex_lock(&pod->mutex);
    size_t count = pod->told_refused;
    pthread_mutex_unlock(&pod->mutex);
    return count;
}

static bool was_told(void *arg)
{
    return count_told(arg) != 0;
}

static void assert_connected_without_a_break(struct bus_pod *pod, uint64_t refused_total)
{
    struct bus_stats stats;
    bus_get_stats(pod->bus, &stats);
    CU_ASSERT_TRUE(stats.connected);
    CU_ASSERT_EQUAL(stats.reconnects_total, 0);
    CU_ASSERT_EQUAL(stats.refused_total, refused_total);
}

static void a_refusal_concerns_its_room_alone(void)
{
    static const char *const rooms[] = {"a1", "b1", "b2", "a2", "b3"};
    struct bus_pod pod;
    start_one(&pod);
    bus_pod_freeze(); /* BUS_AWAIT_MS is never over */
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
        bus_pod_want(&pod, rooms[i], true);
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
        CU_ASSERT_EQUAL(await_room(&pod, rooms[i]), rooms[i][0] == 'a' ? STANDS : REFUSED);
    /* Who comes later is told at once. */
    CU_ASSERT_EQUAL(await_room(&pod, "b2"), REFUSED);
    command("PUBLISH realtime:room:a2 {\"n\":1}");
    command("PUBLISH realtime:global {\"n\":2}");
    CU_ASSERT_TRUE(bus_pod_await_messages(&pod, 2));
    assert_connected_without_a_break(&pod, 3);
    stop_one(&pod);
}

/* Who asked has left by then. */
static void who_is_still_there_is_told(void)
{
    struct bus_pod pod;
    start_one(&pod);
    bus_pod_freeze();
    bus_pod_want(&pod, "b1", true);
    bus_pod_want(&pod, "b2", true);
    CU_ASSERT_EQUAL(await_room(&pod, "b1"), REFUSED);
    CU_ASSERT_EQUAL(await_room(&pod, "b2"), REFUSED);
    bus_pod_want(&pod, "b1", false);
    bus_pod_skip(&pod, BUS_AWAIT_MS - 1);
    CU_ASSERT_EQUAL(count_told(&pod), 0);
    bus_pod_skip(&pod, 1);
    CU_ASSERT_EQUAL(count_told(&pod), 1);
    bus_pod_skip(&pod, BUS_AWAIT_MS);
    CU_ASSERT_EQUAL(count_told(&pod), 1);
    assert_connected_without_a_break(&pod, 2);
    stop_one(&pod);
}

static void it_is_tried_again_when_it_is_wanted_anew(void)
{
    struct bus_pod pod;
    start_one(&pod);
    bus_pod_want(&pod, "b1", true);
    CU_ASSERT_EQUAL(await_room(&pod, "b1"), REFUSED);
    command("ACL SETUSER ann &realtime:room:b*");
    CU_ASSERT_EQUAL(await_room(&pod, "b1"), REFUSED);
    bus_pod_want(&pod, "b1", false);
    bus_pod_want(&pod, "b1", true);
    CU_ASSERT_EQUAL(await_room(&pod, "b1"), STANDS);
    assert_connected_without_a_break(&pod, 1);
    stop_one(&pod);
}

/* Redis ends the connection of a user who may not hear any more what it hears. */
static void a_new_connection_tries_again_and_tells_again(void)
{
    struct bus_pod pod;
    struct bus_stats stats;
    start_one(&pod);
    bus_pod_want(&pod, "a1", true);
    bus_pod_want(&pod, "b1", true);
    CU_ASSERT_EQUAL(await_room(&pod, "a1"), STANDS);
    CU_ASSERT_EQUAL(await_room(&pod, "b1"), REFUSED);
    command("ACL SETUSER ann resetchannels &realtime-control* &realtime:global &realtime:room:b*");
    CU_ASSERT_TRUE(bus_pod_await_subscribed(&pod, 2));
    CU_ASSERT_TRUE(bus_pod_await(&pod, was_told, &pod));
    CU_ASSERT_TRUE(bus_pod_await_connected(&pod, true));
    CU_ASSERT_EQUAL(await_room(&pod, "a1"), REFUSED);
    CU_ASSERT_EQUAL(await_room(&pod, "b1"), STANDS);
    bus_get_stats(pod.bus, &stats);
    CU_ASSERT_EQUAL(stats.refused_total, 2);
    stop_one(&pod);
}

CU_TestInfo bus_rights_tests[] = {
    {"a_refusal_concerns_its_room_alone", a_refusal_concerns_its_room_alone},
    {"who_is_still_there_is_told", who_is_still_there_is_told},
    {"it_is_tried_again_when_it_is_wanted_anew", it_is_tried_again_when_it_is_wanted_anew},
    {"a_new_connection_tries_again_and_tells_again", a_new_connection_tries_again_and_tells_again},
    CU_TEST_INFO_NULL,
};
