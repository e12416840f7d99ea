#include "core/chat/batch.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "core/base/mem.h"

static const char *const frames[] = {"a", "bcd", "ef", "ghijk"};
static const char together[] = "abcdefghijk";
enum { FRAMES = sizeof frames / sizeof *frames, TOGETHER = sizeof together - 1 };

static struct batch *make_batch(void)
{
    struct batch *batch = batch_try_create();
    for (unsigned i = 0; i < FRAMES; i++)
        CU_ASSERT_EQUAL(batch_append(batch, slice_str(frames[i]), 100 + i), ERR_OK);
    return batch;
}

static void frames_stand_in_a_row(void)
{
    struct batch *batch = make_batch();
    CU_ASSERT_EQUAL(batch->count, FRAMES);
    CU_ASSERT_EQUAL(batch->len, TOGETHER);
    CU_ASSERT_EQUAL(memcmp(batch->bytes, together, TOGETHER), 0);
    uint32_t end = 0;
    for (unsigned i = 0; i < FRAMES; i++) {
        end += (uint32_t)strlen(frames[i]);
        CU_ASSERT_EQUAL(batch->ends[i], end);
        CU_ASSERT_EQUAL(batch->received_ns[i], 100 + i);
    }
    batch_release(batch);
}

/* Which frame has the byte; FRAMES behind the last. */
static unsigned frame_of(uint32_t byte)
{
    unsigned i = 0;
    for (size_t end = strlen(frames[0]); i < FRAMES && byte >= end; i++)
        end += i + 1 < FRAMES ? strlen(frames[i + 1]) : 0;
    return i;
}

static void messages_are_counted_from_each_offset(void)
{
    struct batch *batch = make_batch();
    for (uint32_t offset = 0; offset <= TOGETHER; offset++)
        CU_ASSERT_EQUAL(batch_messages_from(batch, offset), FRAMES - frame_of(offset));
    CU_ASSERT_EQUAL(batch_messages_from(batch, TOGETHER + 1), 0);
    batch_release(batch);
}

static void each_offset_has_its_boundary(void)
{
    /*                                 a| b  c  d| e  f| g  h  i   j   k| */
    static const uint32_t expected[] = {0, 1, 4, 4, 4, 6, 6, 11, 11, 11, 11, 11};
    struct batch *batch = make_batch();
    for (uint32_t offset = 0; offset <= TOGETHER; offset++)
        CU_ASSERT_EQUAL(batch_boundary_from(batch, offset), expected[offset]);
    batch_release(batch);
}

static void an_empty_batch_has_nothing(void)
{
    struct batch *batch = batch_try_create();
    CU_ASSERT_EQUAL(batch_messages_from(batch, 0), 0);
    CU_ASSERT_EQUAL(batch_boundary_from(batch, 0), 0);
    batch_release(batch);
    batch_release(NULL);
}

static void is_full_one_byte_past_the_limit(void)
{
    static const char bytes[BATCH_BYTES_MAX];
    for (int past = -1; past <= 1; past++) {
        struct batch *batch = batch_try_create();
        CU_ASSERT_EQUAL(batch_append(batch, slice_of(bytes, 1000), 0), ERR_OK);
        size_t rest = (size_t)(BATCH_BYTES_MAX - 1000 + past);
        enum err expected = past <= 0 ? ERR_OK : ERR_FULL;
        CU_ASSERT_EQUAL(batch_append(batch, slice_of(bytes, rest), 0), expected);
        CU_ASSERT_EQUAL(batch->count, past <= 0 ? 2 : 1);
        CU_ASSERT_EQUAL(batch->len, past <= 0 ? 1000 + rest : 1000);
        batch_release(batch);
    }
}

static void the_first_frame_always_fits(void)
{
    enum { LARGE = BATCH_BYTES_MAX * 3 };
    static const char bytes[LARGE];
    struct batch *batch = batch_try_create();
    CU_ASSERT_EQUAL(batch_append(batch, slice_of(bytes, LARGE), 0), ERR_OK);
    CU_ASSERT_EQUAL(batch->len, LARGE);
    CU_ASSERT_EQUAL(batch_append(batch, slice_of(bytes, 1), 0), ERR_FULL);
    CU_ASSERT_EQUAL(batch->count, 1);
    batch_release(batch);
}

static void the_last_frame_can_be_taken_back(void)
{
    struct batch *batch = make_batch();
    for (uint32_t count = FRAMES; count-- > 0;) {
        batch_remove_last(batch);
        CU_ASSERT_EQUAL(batch->count, count);
        CU_ASSERT_EQUAL(batch->len, count != 0 ? batch->ends[count - 1] : 0);
    }
    CU_ASSERT_EQUAL(batch_append(batch, slice_str("z"), 1), ERR_OK);
    CU_ASSERT_EQUAL(batch->bytes[0], 'z');
    CU_ASSERT_EQUAL(batch->len, 1);
    batch_release(batch);
}

static void lives_until_its_last_count(void)
{
    struct batch *batch = make_batch();
    CU_ASSERT_PTR_EQUAL(batch_retain(batch), batch);
    batch_release(batch);
    CU_ASSERT_EQUAL(memcmp(batch->bytes, together, TOGETHER), 0);
    batch_release(batch);
}

static void bytes_that_are_held_count_once_and_until_the_end(void)
{
    static const char more[1000];
    size_t held = 7;
    struct batch *batch = make_batch();
    batch_hold(batch, &held);
    CU_ASSERT_EQUAL(held, 7 + batch->cap);
    batch_hold(batch, &held);
    CU_ASSERT_EQUAL(held, 7 + batch->cap);
    CU_ASSERT_EQUAL(batch_append(batch, slice_of(more, sizeof more), 0), ERR_OK);
    CU_ASSERT_EQUAL(held, 7 + batch->cap);
    batch_release(batch_retain(batch));
    CU_ASSERT_EQUAL(held, 7 + batch->cap);
    batch_release(batch);
    CU_ASSERT_EQUAL(held, 7);
}

static void without_memory_the_batch_stays_as_it_was(void)
{
    unsigned failures = 0;
    struct batch *batch = batch_try_create();
    for (uint32_t count = 0; count < 100; count++) {
        enum err err = ERR_NOMEM;
        for (unsigned nth = 1; err == ERR_NOMEM; nth++) {
            mem_fail_after(nth);
            err = batch_append(batch, slice_str("0123456789012345"), count);
            mem_fail_after(0);
            failures += err == ERR_NOMEM;
            CU_ASSERT_EQUAL(batch->count, count + (err == ERR_OK));
            CU_ASSERT_EQUAL(batch->len, batch->count * 16);
        }
        CU_ASSERT_EQUAL(err, ERR_OK);
        CU_ASSERT_EQUAL(batch->received_ns[count], count);
    }
    CU_ASSERT_TRUE(failures >= 10); /* 1024, 2048 bytes; 8, 16, ... 128 in two arrays */
    batch_release(batch);
    mem_fail_after(1);
    CU_ASSERT_PTR_NULL(batch_try_create());
    mem_fail_after(0);
}

CU_TestInfo batch_tests[] = {
    {"frames_stand_in_a_row", frames_stand_in_a_row},
    {"messages_are_counted_from_each_offset", messages_are_counted_from_each_offset},
    {"each_offset_has_its_boundary", each_offset_has_its_boundary},
    {"an_empty_batch_has_nothing", an_empty_batch_has_nothing},
    {"is_full_one_byte_past_the_limit", is_full_one_byte_past_the_limit},
    {"the_first_frame_always_fits", the_first_frame_always_fits},
    {"the_last_frame_can_be_taken_back", the_last_frame_can_be_taken_back},
    {"lives_until_its_last_count", lives_until_its_last_count},
    {"bytes_that_are_held_count_once_and_until_the_end",
     bytes_that_are_held_count_once_and_until_the_end},
    {"without_memory_the_batch_stays_as_it_was", without_memory_the_batch_stays_as_it_was},
    CU_TEST_INFO_NULL,
};
