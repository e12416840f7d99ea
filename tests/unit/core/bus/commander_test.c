/* Commands through a real Redis: their order, their answers, and what happens while it is away. */
#include "core/bus/commander.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "tests/support/bus_pod.h"
#include "tests/support/redis_server.h"

extern CU_TestInfo commander_tests[];

enum { MANY = 5000 };

static struct redis_server server;

static void start(struct bus_pod *pod)
{
    signal(SIGPIPE, SIG_IGN);
    CU_ASSERT_FATAL(redis_server_init(&server, NULL));
    CU_ASSERT_FATAL(redis_server_start(&server));
    bus_pod_start_commanding(pod, "pod-a", redis_server_url(&server));
    CU_ASSERT_TRUE(bus_pod_await_taken(pod, 1));
}

static void stop(struct bus_pod *pod)
{
    bus_pod_stop(pod, 1000);
    redis_server_fini(&server);
}

struct answer {
    atomic_uint calls;
    bool failed;
    size_t count;
    char text[64]; /* of the answer, or of its first element */
};

static void take_answer(void *arg, const struct bus_reply *reply)
{
    struct answer *answer = arg;
    const struct bus_reply *first = bus_reply_at(reply, 0);
    struct slice text = bus_reply_text(first != NULL ? first : reply);
    answer->failed = reply == NULL;
    answer->count = bus_reply_count(reply);
    if (text.ptr != NULL)
        snprintf(answer->text, sizeof answer->text, "%.*s", (int)text.len, text.ptr);
    atomic_fetch_add(&answer->calls, 1);
}

static bool has_answer(void *arg)
{
    const struct answer *answer = arg;
    return atomic_load(&answer->calls) != 0;
}

static void command(struct bus_pod *pod, const char *const *texts, struct answer *answer)
{
    struct slice words[8];
    size_t count = 0;
    for (; texts[count] != NULL; count++)
        words[count] = slice_str(texts[count]);
    bus_command(pod->bus, words, count, answer != NULL ? take_answer : NULL, answer);
}

#define COMMAND(pod, answer, ...) command(pod, (const char *const[]){__VA_ARGS__, NULL}, answer)

static void answers_come_to_who_asked(void)
{
    struct bus_pod pod;
    struct answer set = {0}, get = {0}, none = {0}, all = {0}, wrong = {0};
    start(&pod);
    COMMAND(&pod, &set, "SET", "k", "a value", "PX", "60000");
    COMMAND(&pod, &get, "GET", "k");
    COMMAND(&pod, &none, "GET", "other");
    COMMAND(&pod, NULL, "HSET", "h", "field", "1");
    COMMAND(&pod, &wrong, "HSET", "k", "field", "1");
    COMMAND(&pod, &all, "HGETALL", "h");
    CU_ASSERT_TRUE(bus_pod_await(&pod, has_answer, &all));
    CU_ASSERT_STRING_EQUAL(set.text, "OK");
    CU_ASSERT_STRING_EQUAL(get.text, "a value");
    CU_ASSERT_STRING_EQUAL(none.text, "");
    CU_ASSERT_FALSE(none.failed);
    CU_ASSERT_TRUE(wrong.failed);
    CU_ASSERT_EQUAL(all.count, 2);
    CU_ASSERT_STRING_EQUAL(all.text, "field");
    stop(&pod);
}

static void nothing_is_an_answer_without_one(void)
{
    CU_ASSERT_PTR_NULL(bus_reply_text(NULL).ptr);
    CU_ASSERT_EQUAL(bus_reply_count(NULL), 0);
    CU_ASSERT_PTR_NULL(bus_reply_at(NULL, 0));
}

static void many_keep_their_order(void)
{
    struct bus_pod pod;
    struct answer last = {0};
    char number[16];
    start(&pod);
    for (int i = 0; i < MANY; i++) {
        snprintf(number, sizeof number, "%d", i);
        COMMAND(&pod, NULL, "RPUSH", "list", number);
    }
    COMMAND(&pod, &last, "LRANGE", "list", "0", "-1");
    CU_ASSERT_TRUE(bus_pod_await(&pod, has_answer, &last));
    CU_ASSERT_EQUAL(last.count, MANY);
    CU_ASSERT_STRING_EQUAL(last.text, "0");
    stop(&pod);
}

static void a_signal_comes_to_other_pods_behind_the_commands(void)
{
    struct bus_pod a, b;
    struct answer got = {0};
    start(&a);
    bus_pod_start_commanding(&b, "pod-b", redis_server_url(&server));
    bus_pod_want(&b, "/lobby", true);
    CU_ASSERT_TRUE(bus_pod_await_taken(&b, 1));
    CU_ASSERT_TRUE(bus_pod_await_subscribed(&b, 1));
    COMMAND(&a, NULL, "SET", "k", "1");
    bus_signal(a.bus, slice_str("/lobby"), slice_str("{\"n\":0}"));
    CU_ASSERT_TRUE(bus_pod_await_messages(&b, 1));
    COMMAND(&b, &got, "GET", "k");
    CU_ASSERT_TRUE(bus_pod_await(&b, has_answer, &got));
    CU_ASSERT_STRING_EQUAL(got.text, "1");
    CU_ASSERT_STRING_EQUAL(bus_pod_first(&b)->room, "/lobby");
    CU_ASSERT_TRUE(bus_pod_took_sequence(&b, 0, 1));
    bus_pod_stop(&b, 1000);
    stop(&a);
}

static void commands_fail_while_redis_is_away(void)
{
    struct bus_pod pod;
    struct answer under_way = {0}, away = {0}, back = {0};
    start(&pod);
    redis_server_pause(&server);
    COMMAND(&pod, &under_way, "GET", "k");
    redis_server_kill(&server);
    CU_ASSERT_TRUE(bus_pod_await_refused(&pod, 1));
    COMMAND(&pod, &away, "GET", "k");
    CU_ASSERT_TRUE(bus_pod_await(&pod, has_answer, &away));
    CU_ASSERT_TRUE(under_way.failed);
    CU_ASSERT_TRUE(away.failed);
    CU_ASSERT_EQUAL(atomic_load(&under_way.calls), 1);
    CU_ASSERT_FATAL(redis_server_start(&server));
    CU_ASSERT_TRUE(bus_pod_await_taken(&pod, 2));
    COMMAND(&pod, &back, "SET", "k", "1");
    CU_ASSERT_TRUE(bus_pod_await(&pod, has_answer, &back));
    CU_ASSERT_STRING_EQUAL(back.text, "OK");
    stop(&pod);
}

static void what_was_given_last_is_sent_before_the_end(void)
{
    struct bus_pod pod;
    start(&pod);
    COMMAND(&pod, NULL, "SET", "k", "last words");
    bus_pod_stop(&pod, 5000);
    redisReply *reply = redis_server_command(&server, "GET k");
    CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
    CU_ASSERT_EQUAL(reply->type, REDIS_REPLY_STRING);
    freeReplyObject(reply);
    redis_server_fini(&server);
}

/* --- without a Redis --- */

static void note_taken(void *arg, bool taken)
{
    *(int *)arg += taken ? 1 : -1;
}

static void init_alone(struct commander *commander, size_t max_bytes, int *taken)
{
    static const struct redis_url url = {0};
    const struct redis_link_opts link = {
        .url = &url, .epoll_fd = -1, .wake_fd = -1, .clock_ms = clock_monotonic_ms};
    const struct commander_opts opts = {
        .max_bytes = max_bytes, .arg = taken, .on_commands = note_taken};
    commander_init(commander, &link, &opts);
}

static bool give_ping(struct commander *commander, struct answer *answer)
{
    const struct slice ping[] = {slice_str("PI"), slice_str("NG"), SLICE_NONE};
    const struct slice *words[] = {ping};
    return commander_give(commander, words, 1, answer != NULL ? take_answer : NULL, answer);
}

static void a_command_fails_in_the_call_when_the_bus_does_not_run(void)
{
    struct commander commander;
    struct answer answer = {0};
    init_alone(&commander, 1000, NULL);
    CU_ASSERT_FALSE(give_ping(&commander, &answer));
    CU_ASSERT_EQUAL(answer.calls, 1);
    CU_ASSERT_TRUE(answer.failed);
    commander_fini(&commander);
}

static void over_the_bound_only_commands_without_answer_are_dropped(void)
{
    struct commander commander;
    struct answer answer = {0};
    int taken = 0;
    init_alone(&commander, strlen("*1\r\n$4\r\nPING\r\n"), &taken);
    commander_start(&commander);
    CU_ASSERT_TRUE(give_ping(&commander, NULL));
    CU_ASSERT_FALSE(give_ping(&commander, NULL));
    CU_ASSERT_TRUE(give_ping(&commander, &answer));
    CU_ASSERT_FALSE(commander_is_idle(&commander));
    CU_ASSERT_EQUAL(answer.calls, 0);
    commander_turn(&commander, true); /* the link is down: all fail */
    CU_ASSERT_EQUAL(answer.calls, 1);
    CU_ASSERT_TRUE(commander_is_idle(&commander));
    /* As if the link had come up, to see that the loss is told. */
    commander.link.state = REDIS_LINK_UP;
    commander_turn(&commander, true);
    CU_ASSERT_EQUAL(taken, 1);
    commander_turn(&commander, true);
    CU_ASSERT_EQUAL(taken, 1);
    commander.link.state = REDIS_LINK_WAITING;
    commander_stop(&commander);
    commander_fini(&commander);
}

CU_TestInfo commander_tests[] = {
    {"answers_come_to_who_asked", answers_come_to_who_asked},
    {"nothing_is_an_answer_without_one", nothing_is_an_answer_without_one},
    {"many_keep_their_order", many_keep_their_order},
    {"a_signal_comes_to_other_pods_behind_the_commands",
     a_signal_comes_to_other_pods_behind_the_commands},
    {"commands_fail_while_redis_is_away", commands_fail_while_redis_is_away},
    {"what_was_given_last_is_sent_before_the_end", what_was_given_last_is_sent_before_the_end},
    {"a_command_fails_in_the_call_when_the_bus_does_not_run",
     a_command_fails_in_the_call_when_the_bus_does_not_run},
    {"over_the_bound_only_commands_without_answer_are_dropped",
     over_the_bound_only_commands_without_answer_are_dropped},
    CU_TEST_INFO_NULL,
};
