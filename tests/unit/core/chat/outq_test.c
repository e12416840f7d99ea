#include "core/chat/outq.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "core/base/mem.h"

static uint32_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

/* A batch of `count` frames of 1 to `longest` octets, each octet different from its neighbours. */
static struct batch *make_batch(uint32_t count, uint32_t longest)
{
    struct batch *batch = batch_try_create();
    char frame[32];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = 1 + draw(longest);
        for (uint32_t j = 0; j < len; j++)
            frame[j] = (char)draw(256);
        CU_ASSERT_EQUAL(batch_append(batch, slice_of(frame, len), 0), ERR_OK);
    }
    return batch;
}

static struct batch *batch_of(const char *const *frames, size_t count)
{
    struct batch *batch = batch_try_create();
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(batch_append(batch, slice_str(frames[i]), 0), ERR_OK);
    return batch;
}

/* --- the model: one record per frame, the simplest thing that can be right --- */

enum { MODEL_MAX = 4096 };

struct model_frame {
    enum outq_kind kind;
    unsigned push; /* frames of one push are one entry */
    uint32_t len;
    uint32_t sent;
    char bytes[32];
};

struct model {
    struct model_frame frames[MODEL_MAX];
    size_t count;
    unsigned pushes;
};

static void model_push(struct model *model, const struct batch *batch, uint32_t offset,
                       enum outq_kind kind)
{
    uint32_t start = 0;
    for (uint32_t i = 0; i < batch->count; start = batch->ends[i++]) {
        if (batch->ends[i] <= offset)
            continue;
        struct model_frame *frame = &model->frames[model->count++];
        frame->kind = kind;
        frame->push = model->pushes;
        frame->len = batch->ends[i] - start;
        frame->sent = offset > start ? offset - start : 0;
        memcpy(frame->bytes, batch->bytes + start, frame->len);
    }
    model->pushes++;
}

static void model_pop(struct model *model)
{
    memmove(&model->frames[0], &model->frames[1], --model->count * sizeof *model->frames);
}

static uint32_t model_advance(struct model *model, size_t sent)
{
    uint32_t complete = 0;
    for (; sent != 0; sent--) {
        struct model_frame *frame = &model->frames[0];
        if (++frame->sent == frame->len) {
            complete += frame->kind == OUTQ_MESSAGES;
            model_pop(model);
        }
    }
    return complete;
}

static uint32_t model_drop_unsent(struct model *model)
{
    uint32_t dropped = 0;
    size_t keep = model->count != 0 && model->frames[0].sent != 0 ? 1 : 0;
    while (model->count > keep)
        dropped += model->frames[--model->count].kind == OUTQ_MESSAGES;
    return dropped;
}

static size_t model_bytes(const struct model *model, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_frame *frame = &model->frames[i];
        memcpy(out + len, frame->bytes + frame->sent, frame->len - frame->sent);
        len += frame->len - frame->sent;
    }
    return len;
}

static void agrees_with_the_model(const struct outq *outq, const struct model *model)
{
    static char expected[MODEL_MAX * 32], seen[MODEL_MAX * 32];
    static struct iovec parts[MODEL_MAX];
    size_t len = 0;
    uint32_t messages = 0;
    int count = outq_gather(outq, parts, MODEL_MAX);
    for (int i = 0; i < count; i++) {
        CU_ASSERT_NOT_EQUAL(parts[i].iov_len, 0);
        memcpy(seen + len, parts[i].iov_base, parts[i].iov_len);
        len += parts[i].iov_len;
    }
    for (size_t i = 0; i < model->count; i++)
        messages += model->frames[i].kind == OUTQ_MESSAGES;
    CU_ASSERT_EQUAL(outq->messages, messages);
    CU_ASSERT_EQUAL(outq->bytes, len);
    CU_ASSERT_EQUAL(outq_is_empty(outq), model->count == 0);
    CU_ASSERT_EQUAL(len, model_bytes(model, expected));
    CU_ASSERT_EQUAL(memcmp(seen, expected, len), 0);
}

static void push_at_random(struct outq *outq, struct model *model)
{
    static const enum outq_kind kinds[] = {OUTQ_MESSAGES, OUTQ_MESSAGES, OUTQ_MESSAGES,
                                           OUTQ_PING,     OUTQ_PONG,     OUTQ_CLOSE};
    enum outq_kind kind = kinds[draw(sizeof kinds / sizeof *kinds)];
    struct batch *batch = make_batch(kind == OUTQ_MESSAGES ? 1 + draw(6) : 1, 12);
    uint32_t offset = draw(3) == 0 ? draw(batch->len) : 0;
    CU_ASSERT_EQUAL(outq_push(outq, batch, offset, kind), ERR_OK);
    model_push(model, batch, offset, kind);
    batch_release(batch);
}

/* Joins the last entry when that is of the kind, unless outq_drop_unsent cut it short. */
static void append_at_random(struct outq *outq, struct model *model)
{
    static const char frame[] = "0123456789";
    enum outq_kind kind = draw(4) == 0 ? OUTQ_PONG : OUTQ_MESSAGES;
    size_t len = 1 + draw(sizeof frame - 1);
    struct model_frame *last = model->count != 0 ? &model->frames[model->count - 1] : NULL;
    bool joined = outq_append(outq, slice_of(frame, len), kind);
    CU_ASSERT_TRUE(!joined || (last != NULL && last->kind == kind));
    if (!joined)
        return;
    last[1] = (struct model_frame){.kind = kind, .push = last->push, .len = (uint32_t)len};
    memcpy(last[1].bytes, frame, len);
    model->count++;
}

static void a_frame_joins_no_batch_that_others_hold(void)
{
    static const char *const frames[] = {"ab"};
    struct batch *batch = batch_of(frames, 1);
    struct outq outq;
    outq_init(&outq);
    CU_ASSERT_FALSE(outq_append(&outq, slice_str("c"), OUTQ_MESSAGES));
    CU_ASSERT_EQUAL(outq_push(&outq, batch, 0, OUTQ_MESSAGES), ERR_OK);
    CU_ASSERT_FALSE(outq_append(&outq, slice_str("c"), OUTQ_MESSAGES));
    CU_ASSERT_EQUAL(outq.bytes, 2);
    batch_release(batch);
    CU_ASSERT_TRUE(outq_append(&outq, slice_str("c"), OUTQ_MESSAGES));
    CU_ASSERT_EQUAL(outq.bytes, 3);
    CU_ASSERT_EQUAL(outq.messages, 2);
    outq_fini(&outq);
}

static void does_what_the_model_does_through_random_changes(void)
{
    static struct model model;
    struct outq outq;
    outq_init(&outq);
    model.count = 0;
    random_state = 4711;
    for (int step = 0; step < 20000; step++) {
        uint32_t what = draw(100);
        if (what < 40 && model.count < 300) {
            push_at_random(&outq, &model);
        } else if (what < 55 && model.count < 300) {
            append_at_random(&outq, &model);
        } else if (what < 98) {
            size_t sent = outq.bytes != 0 ? draw((uint32_t)outq.bytes + 1) : 0;
            if (draw(2) == 0 && sent > 20)
                sent = draw(20);
            CU_ASSERT_EQUAL(outq_advance(&outq, sent), model_advance(&model, sent));
        } else {
            CU_ASSERT_EQUAL(outq_drop_unsent(&outq), model_drop_unsent(&model));
        }
        agrees_with_the_model(&outq, &model);
    }
    outq_fini(&outq);
}

static void gathers_no_more_than_it_is_asked_for(void)
{
    static const char *const frames[] = {"ab", "c"};
    struct iovec parts[4];
    struct outq outq;
    outq_init(&outq);
    CU_ASSERT_EQUAL(outq_gather(&outq, parts, 4), 0);
    for (int i = 0; i < 3; i++) {
        struct batch *batch = batch_of(frames, 2);
        CU_ASSERT_EQUAL(outq_push(&outq, batch, (uint32_t)i, OUTQ_MESSAGES), ERR_OK);
        batch_release(batch);
    }
    for (int max = 0; max <= 4; max++)
        CU_ASSERT_EQUAL(outq_gather(&outq, parts, max), max < 3 ? max : 3);
    CU_ASSERT_EQUAL(parts[1].iov_len, 2);
    CU_ASSERT_EQUAL(memcmp(parts[1].iov_base, "bc", 2), 0);
    outq_fini(&outq);
}

/* Cut at each byte: messages are complete with their last byte, dropped while none was sent. */
static void messages_count_until_their_last_byte(void)
{
    static const char *const frames[] = {"abc", "de", "f"};
    static const uint32_t complete[] = {0, 0, 0, 1, 1, 2, 3};
    static const uint32_t kept_bytes[] = {0, 2, 1, 0, 1, 0, 0};
    for (uint32_t sent = 0; sent <= 6; sent++) {
        struct batch *batch = batch_of(frames, 3);
        struct outq outq;
        outq_init(&outq);
        CU_ASSERT_EQUAL(outq_push(&outq, batch, 0, OUTQ_MESSAGES), ERR_OK);
        batch_release(batch);
        CU_ASSERT_EQUAL(outq.messages, 3);
        CU_ASSERT_EQUAL(outq_advance(&outq, sent), complete[sent]);
        CU_ASSERT_EQUAL(outq.messages, 3 - complete[sent]);
        uint32_t begun = kept_bytes[sent] != 0;
        CU_ASSERT_EQUAL(outq_drop_unsent(&outq), 3 - complete[sent] - begun);
        CU_ASSERT_EQUAL(outq.messages, begun);
        CU_ASSERT_EQUAL(outq.bytes, kept_bytes[sent]);
        CU_ASSERT_EQUAL(outq_advance(&outq, outq.bytes), begun);
        CU_ASSERT_TRUE(outq_is_empty(&outq));
        outq_fini(&outq);
    }
}

static void control_frames_count_as_bytes_only(void)
{
    static const char *const frames[] = {"ping"};
    struct outq outq;
    outq_init(&outq);
    struct batch *batch = batch_of(frames, 1);
    CU_ASSERT_EQUAL(outq_push(&outq, batch, 0, OUTQ_PING), ERR_OK);
    CU_ASSERT_EQUAL(outq_push(&outq, batch, 0, OUTQ_CLOSE), ERR_OK);
    batch_release(batch);
    CU_ASSERT_EQUAL(outq.messages, 0);
    CU_ASSERT_EQUAL(outq.bytes, 8);
    CU_ASSERT_EQUAL(outq_advance(&outq, 6), 0);
    CU_ASSERT_EQUAL(outq_drop_unsent(&outq), 0);
    CU_ASSERT_EQUAL(outq.bytes, 2);
    outq_fini(&outq);
}

static void a_pong_takes_the_place_of_the_one_that_waits(void)
{
    static const char *const first[] = {"old"}, *const second[] = {"newer"}, *const text[] = {"xy"};
    struct batch *old = batch_of(first, 1), *newer = batch_of(second, 1),
                 *message = batch_of(text, 1);
    struct iovec parts[3];
    struct outq outq;
    outq_init(&outq);
    CU_ASSERT_FALSE(outq_replace(&outq, newer, OUTQ_PONG));
    CU_ASSERT_EQUAL(outq_push(&outq, message, 0, OUTQ_MESSAGES), ERR_OK);
    CU_ASSERT_EQUAL(outq_push(&outq, old, 0, OUTQ_PONG), ERR_OK);
    CU_ASSERT_EQUAL(outq_push(&outq, message, 0, OUTQ_MESSAGES), ERR_OK);
    CU_ASSERT_FALSE(outq_replace(&outq, newer, OUTQ_PING));
    CU_ASSERT_TRUE(outq_replace(&outq, newer, OUTQ_PONG));
    CU_ASSERT_EQUAL(outq.bytes, 2 + 5 + 2);
    CU_ASSERT_EQUAL(outq_gather(&outq, parts, 3), 3);
    CU_ASSERT_EQUAL(parts[1].iov_len, 5);
    CU_ASSERT_EQUAL(memcmp(parts[1].iov_base, "newer", 5), 0);
    /* One that is on the wire in part has to be finished as it was begun. */
    CU_ASSERT_EQUAL(outq_advance(&outq, 3), 1);
    CU_ASSERT_FALSE(outq_replace(&outq, old, OUTQ_PONG));
    CU_ASSERT_EQUAL(outq.bytes, 4 + 2);
    outq_fini(&outq);
    batch_release(old);
    batch_release(newer);
    batch_release(message);
}

static void without_memory_nothing_is_queued(void)
{
    static const char *const frames[] = {"ab"};
    struct batch *batch = batch_of(frames, 1);
    struct outq outq;
    unsigned failures = 0;
    outq_init(&outq);
    for (uint32_t count = 0; count < 33; count++) {
        mem_fail_after(1);
        enum err err = outq_push(&outq, batch, 0, OUTQ_MESSAGES);
        mem_fail_after(0);
        if (err != ERR_OK) {
            failures++;
            CU_ASSERT_EQUAL(err, ERR_NOMEM);
            CU_ASSERT_EQUAL(outq.messages, count);
            CU_ASSERT_EQUAL(batch->refs, count + 1);
            CU_ASSERT_EQUAL(outq_push(&outq, batch, 0, OUTQ_MESSAGES), ERR_OK);
        }
    }
    CU_ASSERT_EQUAL(failures, 5); /* 4, 8, 16, 32, 64 places */
    outq_fini(&outq);
    CU_ASSERT_EQUAL(batch->refs, 1);
    batch_release(batch);
}

CU_TestInfo outq_tests[] = {
    {"does_what_the_model_does_through_random_changes",
     does_what_the_model_does_through_random_changes},
    {"a_frame_joins_no_batch_that_others_hold", a_frame_joins_no_batch_that_others_hold},
    {"gathers_no_more_than_it_is_asked_for", gathers_no_more_than_it_is_asked_for},
    {"messages_count_until_their_last_byte", messages_count_until_their_last_byte},
    {"control_frames_count_as_bytes_only", control_frames_count_as_bytes_only},
    {"a_pong_takes_the_place_of_the_one_that_waits", a_pong_takes_the_place_of_the_one_that_waits},
    {"without_memory_nothing_is_queued", without_memory_nothing_is_queued},
    CU_TEST_INFO_NULL,
};
