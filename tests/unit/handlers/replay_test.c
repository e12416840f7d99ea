#include "handlers/replay.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "core/base/mem.h"

static struct digest digest_of_number(unsigned number)
{
    struct slice text = slice_of(&number, sizeof number);
    return digest_of(&text, 1);
}

static void add(struct replays *replays, unsigned key, unsigned request, uint64_t now_ms,
                const char *answer)
{
    struct digest k = digest_of_number(key), r = digest_of_number(request);
    replays_add(replays, &k, &r, now_ms, slice_str(answer));
}

static enum replay find(struct replays *replays, unsigned key, unsigned request, uint64_t now_ms,
                        struct slice *answer)
{
    struct digest k = digest_of_number(key), r = digest_of_number(request);
    return replays_find(replays, &k, &r, now_ms, answer);
}

static void the_first_answer_comes_again(void)
{
    struct replays replays;
    struct slice answer;
    replays_init(&replays);
    CU_ASSERT_EQUAL(find(&replays, 1, 1, 0, &answer), REPLAY_NEW);
    add(&replays, 1, 1, 0, "first");
    add(&replays, 2, 1, 0, "second");
    CU_ASSERT_EQUAL(find(&replays, 1, 1, 1, &answer), REPLAY_SAME);
    CU_ASSERT_TRUE(slice_equals_str(answer, "first"));
    CU_ASSERT_EQUAL(find(&replays, 2, 1, 1, &answer), REPLAY_SAME);
    CU_ASSERT_TRUE(slice_equals_str(answer, "second"));
    CU_ASSERT_EQUAL(find(&replays, 1, 2, 1, &answer), REPLAY_OTHER);
    CU_ASSERT_EQUAL(find(&replays, 3, 1, 1, &answer), REPLAY_NEW);
    replays_fini(&replays);
}

static void an_answer_is_forgotten_after_its_time(void)
{
    struct replays replays;
    struct slice answer;
    replays_init(&replays);
    add(&replays, 1, 1, 1000, "x");
    CU_ASSERT_EQUAL(find(&replays, 1, 1, 1000 + REPLAY_MS - 1, &answer), REPLAY_SAME);
    CU_ASSERT_EQUAL(find(&replays, 1, 1, 1000 + REPLAY_MS, &answer), REPLAY_NEW);
    CU_ASSERT_EQUAL(replays.bytes, 0);
    replays_fini(&replays);
}

static void past_the_number_the_oldest_is_forgotten(void)
{
    struct replays replays;
    struct slice answer;
    replays_init(&replays);
    for (unsigned i = 0; i < REPLAY_ANSWERS_MAX; i++)
        add(&replays, i, 1, i, "x");
    CU_ASSERT_EQUAL(find(&replays, 0, 1, 0, &answer), REPLAY_SAME);
    add(&replays, REPLAY_ANSWERS_MAX, 1, REPLAY_ANSWERS_MAX, "x");
    CU_ASSERT_EQUAL(find(&replays, 0, 1, 0, &answer), REPLAY_NEW);
    CU_ASSERT_EQUAL(find(&replays, 1, 1, 0, &answer), REPLAY_SAME);
    CU_ASSERT_EQUAL(find(&replays, REPLAY_ANSWERS_MAX, 1, 0, &answer), REPLAY_SAME);
    replays_fini(&replays);
}

static void past_the_bytes_too(void)
{
    enum { LARGE = 1024 * 1024 };
    struct replays replays;
    struct slice found;
    char *large = mem_zalloc(LARGE + 1);
    memset(large, 'x', LARGE);
    replays_init(&replays);
    for (unsigned i = 0; i < 2 * REPLAY_BYTES_MAX / LARGE; i++) {
        add(&replays, i, 1, i, large);
        CU_ASSERT_TRUE(replays.bytes <= REPLAY_BYTES_MAX);
        CU_ASSERT_EQUAL(find(&replays, i, 1, i, &found), REPLAY_SAME);
    }
    CU_ASSERT_EQUAL(find(&replays, 0, 1, 0, &found), REPLAY_NEW);
    replays_fini(&replays);
    mem_free(large);
}

static void without_memory_nothing_is_remembered(void)
{
    struct slice answer;
    for (unsigned nth = 1; nth <= 2; nth++) {
        struct replays replays;
        replays_init(&replays);
        mem_fail_after(nth);
        add(&replays, 1, 1, 0, "x");
        mem_fail_after(0);
        CU_ASSERT_EQUAL(find(&replays, 1, 1, 0, &answer), REPLAY_NEW);
        CU_ASSERT_EQUAL(replays.bytes, 0);
        add(&replays, 1, 1, 0, "x");
        CU_ASSERT_EQUAL(find(&replays, 1, 1, 0, &answer), REPLAY_SAME);
        replays_fini(&replays);
    }
}

CU_TestInfo replay_tests[] = {
    {"the_first_answer_comes_again", the_first_answer_comes_again},
    {"an_answer_is_forgotten_after_its_time", an_answer_is_forgotten_after_its_time},
    {"past_the_number_the_oldest_is_forgotten", past_the_number_the_oldest_is_forgotten},
    {"past_the_bytes_too", past_the_bytes_too},
    {"without_memory_nothing_is_remembered", without_memory_nothing_is_remembered},
    CU_TEST_INFO_NULL,
};
