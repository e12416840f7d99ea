/* Limiters that tell each other what was taken, as pods do. */
#include <CUnit/CUnit.h>
#include <stdio.h>

#include "core/base/mem.h"
#include "core/limit/limiter.h"

static const uint64_t second_ns = 1000000000;
static const uint64_t start_ns = 1000 * 1000000000ULL;
static const struct limit sixty_a_minute = {.count = 60, .period_ms = 60000};
static const struct limit twenty_a_second = {.count = 20, .period_ms = 1000};

static struct limiter *shared(const struct limit *limit, size_t max_keys)
{
    struct limiter *limiter = limiter_create(limit, max_keys);
    limiter_share(limiter);
    return limiter;
}

static unsigned take_many(struct limiter *limiter, const char *key, unsigned tries, uint64_t now_ns)
{
    unsigned taken = 0;
    struct limiter_answer answer;
    for (unsigned i = 0; i < tries; i++)
        taken += limiter_take(limiter, slice_str(key), now_ns, &answer);
    return taken;
}

/* Returns how many tokens were told of. */
static unsigned tell(struct limiter *from, struct limiter *to, uint64_t now_ns)
{
    struct limiter_spending spending;
    unsigned tokens = 0;
    while (limiter_next_spending(from, now_ns, &spending)) {
        tokens += spending.tokens;
        if (to != NULL)
            limiter_charge(to, slice_of(spending.key, spending.key_len), spending.tokens, now_ns);
    }
    CU_ASSERT_FALSE(limiter_has_spending(from));
    return tokens;
}

static void who_does_not_share_writes_nothing_down(void)
{
    struct limiter *limiter = limiter_create(&sixty_a_minute, 1000);
    take_many(limiter, "anna", 60, start_ns);
    CU_ASSERT_FALSE(limiter_has_spending(limiter));
    limiter_destroy(limiter);
}

static void what_was_taken_elsewhere_is_not_there(void)
{
    struct limiter *a = shared(&sixty_a_minute, 1000), *b = shared(&sixty_a_minute, 1000);
    CU_ASSERT_EQUAL(take_many(a, "anna", 40, start_ns), 40);
    CU_ASSERT_EQUAL(tell(a, b, start_ns), 40);
    CU_ASSERT_EQUAL(take_many(b, "anna", 40, start_ns), 20);
    CU_ASSERT_EQUAL(take_many(b, "ben", 100, start_ns), 60);
    CU_ASSERT_EQUAL(tell(b, a, start_ns), 80);
    CU_ASSERT_EQUAL(take_many(a, "anna", 40, start_ns), 0);
    CU_ASSERT_EQUAL(take_many(a, "ben", 40, start_ns), 0);
    CU_ASSERT_EQUAL(take_many(a, "ben", 40, start_ns + second_ns), 1);
    /* Told once only. */
    CU_ASSERT_EQUAL(tell(b, a, start_ns), 0);
    limiter_destroy(a);
    limiter_destroy(b);
}

/* Small takings are not worth a word; what they add up to is. */
static void a_fortieth_of_the_limit_is_told(void)
{
    static const struct {
        uint32_t count, told_after;
    } rows[] = {{1, 1}, {10, 1}, {39, 1}, {40, 2}, {60, 2}, {80, 3}, {1000, 26}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct limit limit = {.count = rows[i].count, .period_ms = 60000};
        struct limiter *limiter = shared(&limit, 1000);
        take_many(limiter, "anna", rows[i].told_after - 1, start_ns);
        CU_ASSERT_FALSE(limiter_has_spending(limiter));
        take_many(limiter, "anna", 1, start_ns);
        CU_ASSERT_TRUE(limiter_has_spending(limiter));
        CU_ASSERT_EQUAL(tell(limiter, NULL, start_ns), rows[i].told_after);
        limiter_destroy(limiter);
    }
}

/* One message a second of sixty a minute: each time, the bucket is as full as everywhere. */
static void what_flowed_back_is_never_told(void)
{
    struct limiter *limiter = shared(&sixty_a_minute, 1000);
    for (unsigned i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(take_many(limiter, "anna", 1, start_ns + i * second_ns), 1);
        CU_ASSERT_FALSE(limiter_has_spending(limiter));
    }
    /* Nobody listened for half a minute, in which as much flowed back. */
    take_many(limiter, "ben", 40, start_ns);
    CU_ASSERT_EQUAL(tell(limiter, NULL, start_ns + 30 * second_ns), 10);
    take_many(limiter, "carl", 40, start_ns);
    CU_ASSERT_EQUAL(tell(limiter, NULL, start_ns + 100 * second_ns), 0);
    limiter_destroy(limiter);
}

/* Both let the whole burst pass before they hear of each other. */
static void what_was_too_much_must_flow_back_first(void)
{
    struct limiter *a = shared(&sixty_a_minute, 1000), *b = shared(&sixty_a_minute, 1000);
    struct limiter_answer answer;
    CU_ASSERT_EQUAL(take_many(a, "anna", 100, start_ns), 60);
    CU_ASSERT_EQUAL(take_many(b, "anna", 100, start_ns), 60);
    tell(a, b, start_ns);
    tell(b, a, start_ns);
    CU_ASSERT_FALSE(limiter_take(a, slice_str("anna"), start_ns, &answer));
    CU_ASSERT_EQUAL(answer.retry_after_ms, 61000);
    CU_ASSERT_FALSE(limiter_take(b, slice_str("anna"), start_ns + 60 * second_ns, &answer));
    CU_ASSERT_EQUAL(answer.retry_after_ms, 1000);
    CU_ASSERT_TRUE(limiter_take(b, slice_str("anna"), start_ns + 61 * second_ns, &answer));
    limiter_destroy(a);
    limiter_destroy(b);
}

static void a_debt_has_its_bound(void)
{
    struct limiter *limiter = shared(&sixty_a_minute, 1000);
    struct limiter_answer answer;
    for (unsigned i = 0; i < 100; i++)
        limiter_charge(limiter, slice_str("anna"), i % 2 == 0 ? 60 : 999999999, start_ns);
    CU_ASSERT_FALSE(limiter_take(limiter, slice_str("anna"), start_ns, &answer));
    CU_ASSERT_EQUAL(answer.retry_after_ms, 1000 + LIMIT_DEBT_MAX * 60000);
    limiter_destroy(limiter);
}

/*
 * Clients try all the time at both, which hear of each other only now and then: in the end no more
 * was taken than from one bucket, but for what had not been told.
 */
static void the_rate_holds_over_time_for_all_together(void)
{
    static const unsigned intervals[] = {1, 2, 5, 10, 50};
    for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
        enum { SECONDS = 10, STEPS = 1000 };
        struct limiter *pods[] = {shared(&twenty_a_second, 100), shared(&twenty_a_second, 100)};
        unsigned taken = 0;
        for (unsigned step = 0; step < SECONDS * STEPS; step++) {
            uint64_t now_ns = start_ns + step * (second_ns / STEPS);
            taken += take_many(pods[0], "anna", 1, now_ns) + take_many(pods[1], "anna", 1, now_ns);
            if (step % intervals[i] != 0)
                continue;
            tell(pods[0], pods[1], now_ns);
            tell(pods[1], pods[0], now_ns);
        }
        CU_ASSERT_TRUE(taken >= 20 + SECONDS * 20 - 4);
        CU_ASSERT_TRUE(taken <= 20 + SECONDS * 20 + 4);
        limiter_destroy(pods[0]);
        limiter_destroy(pods[1]);
    }
}

/* Takes until that is much; returns how many were taken. */
static unsigned take_until_much(struct limiter *limiter, const char *key)
{
    struct limiter_answer answer = {.is_much = false};
    unsigned taken = 0;
    while (!answer.is_much && limiter_take(limiter, slice_str(key), start_ns, &answer))
        taken++;
    return taken;
}

/* However many take at once, and tell each other whenever it is much: together they come to the
 * burst, and to a tenth more at most. */
static void who_pauses_when_it_is_much_keeps_the_burst(void)
{
    static const uint32_t counts[] = {10, 20, 60, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (unsigned sharers = 2; sharers <= 5; sharers++) {
            const struct limit limit = {.count = counts[i], .period_ms = 60000};
            struct limiter *pods[5];
            unsigned taken = 0, round = 1;
            for (unsigned pod = 0; pod < sharers; pod++) {
                pods[pod] = shared(&limit, 100);
                limiter_set_sharers(pods[pod], sharers);
            }
            while (round != 0) {
                round = 0;
                for (unsigned pod = 0; pod < sharers; pod++)
                    round += take_until_much(pods[pod], "anna");
                taken += round;
                for (unsigned from = 0; from < sharers; from++) {
                    struct limiter_spending spending;
                    while (limiter_next_spending(pods[from], start_ns, &spending))
                        for (unsigned to = 0; to < sharers; to++)
                            if (to != from)
                                limiter_charge(pods[to], slice_str("anna"), spending.tokens,
                                               start_ns);
                }
            }
            CU_ASSERT_TRUE(taken >= limit.count);
            CU_ASSERT_TRUE(taken < limit.count + sharers);
            for (unsigned pod = 0; pod < sharers; pod++)
                limiter_destroy(pods[pod]);
        }
    }
}

/* A pod that has just begun knows of no other: were it to reckon with few, many could take more
 * than there is before the first of them is told how many they are. */
static void those_not_counted_yet_are_many(void)
{
    struct limiter *limiter = shared(&sixty_a_minute, 100);
    CU_ASSERT_EQUAL(take_until_much(limiter, "anna"), 7);
    limiter_set_sharers(limiter, 2);
    CU_ASSERT_EQUAL(take_until_much(limiter, "ben"), 20);
    limiter_destroy(limiter);
}

static void alone_nothing_is_much(void)
{
    struct limiter *limiter = shared(&sixty_a_minute, 100);
    limiter_set_sharers(limiter, 1);
    CU_ASSERT_EQUAL(take_until_much(limiter, "anna"), 60);
    limiter_destroy(limiter);
}

/* Who takes now and then, and is told of each time, never pauses until little is left. */
static void a_little_at_a_time_is_not_much(void)
{
    struct limiter *limiter = shared(&sixty_a_minute, 100);
    struct limiter_answer answer;
    limiter_set_sharers(limiter, 2);
    for (unsigned i = 0; i < 55; i++) {
        CU_ASSERT_TRUE(limiter_take(limiter, slice_str("anna"), start_ns, &answer));
        CU_ASSERT_FALSE(answer.is_much);
        if (i % 2 == 1)
            tell(limiter, NULL, start_ns);
    }
    limiter_destroy(limiter);
}

static void charges_are_bounded_like_takings(void)
{
    enum { MOST = 8 * LIMITER_SHARDS };
    struct limiter *limiter = shared(&sixty_a_minute, MOST);
    char name[LIMITER_KEY_MAX + 2];
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "%u", i);
        if (i % 2 == 0)
            limiter_charge(limiter, slice_str(name), 3, start_ns);
        else
            take_many(limiter, name, 3, start_ns);
    }
    CU_ASSERT_EQUAL(limiter_count(limiter), MOST);
    CU_ASSERT_TRUE(tell(limiter, NULL, start_ns) <= 3 * MOST);
    memset(name, 'x', sizeof name);
    limiter_charge(limiter, slice_of(name, LIMITER_KEY_MAX + 1), 3, start_ns);
    limiter_charge(limiter, slice_str("new"), 0, start_ns);
    CU_ASSERT_EQUAL(limiter_count(limiter), MOST);
    limiter_destroy(limiter);
}

static void off_is_charged_nothing(void)
{
    struct limiter *limiter = shared(&(struct limit){0}, 100);
    limiter_charge(limiter, slice_str("anna"), 100, start_ns);
    CU_ASSERT_EQUAL(take_many(limiter, "anna", 100, start_ns), 100);
    CU_ASSERT_EQUAL(limiter_count(limiter), 0);
    CU_ASSERT_FALSE(limiter_has_spending(limiter));
    limiter_destroy(limiter);
}

static void without_memory_nobody_is_charged(void)
{
    struct limiter *limiter = shared(&sixty_a_minute, 100);
    mem_fail_after(1);
    limiter_charge(limiter, slice_str("anna"), 60, start_ns);
    mem_fail_after(0);
    CU_ASSERT_EQUAL(take_many(limiter, "anna", 100, start_ns), 60);
    limiter_destroy(limiter);
}

CU_TestInfo limiter_share_tests[] = {
    {"who_does_not_share_writes_nothing_down", who_does_not_share_writes_nothing_down},
    {"what_was_taken_elsewhere_is_not_there", what_was_taken_elsewhere_is_not_there},
    {"a_fortieth_of_the_limit_is_told", a_fortieth_of_the_limit_is_told},
    {"what_flowed_back_is_never_told", what_flowed_back_is_never_told},
    {"what_was_too_much_must_flow_back_first", what_was_too_much_must_flow_back_first},
    {"a_debt_has_its_bound", a_debt_has_its_bound},
    {"the_rate_holds_over_time_for_all_together", the_rate_holds_over_time_for_all_together},
    {"who_pauses_when_it_is_much_keeps_the_burst", who_pauses_when_it_is_much_keeps_the_burst},
    {"those_not_counted_yet_are_many", those_not_counted_yet_are_many},
    {"alone_nothing_is_much", alone_nothing_is_much},
    {"a_little_at_a_time_is_not_much", a_little_at_a_time_is_not_much},
    {"charges_are_bounded_like_takings", charges_are_bounded_like_takings},
    {"off_is_charged_nothing", off_is_charged_nothing},
    {"without_memory_nobody_is_charged", without_memory_nobody_is_charged},
    CU_TEST_INFO_NULL,
};
