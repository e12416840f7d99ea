#include "core/ws/deflate.h"

#include <CUnit/CUnit.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

enum { BIG = 4 * 1024 * 1024 };

/* Text that compresses as `kind` says: 0 all the same, 1 words, 2 hardly at all. */
static void fill(char *out, size_t len, int kind)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525 + 1013904223;
        out[i] = kind == 0 ? 'a' : kind == 1 ? "hello world "[state >> 29] : (char)(state >> 24);
    }
}

static enum err inflate_cut(struct inflater *inflater, struct slice packed, size_t cut,
                            struct buf *out)
{
    inflater_reset(inflater);
    enum err err = ERR_OK;
    if (cut > 0)
        err = inflater_feed(inflater, slice_of(packed.ptr, cut), false, out);
    return err == ERR_OK ? inflater_feed(inflater, slice_skip(packed, cut), true, out) : err;
}

static void what_is_deflated_inflates_to_the_same(void)
{
    static const size_t lengths[] = {0, 1, 2, 5, 125, 126, 1000, 4096, 65535, 65536, 1000000};
    char *text = malloc(1000000);
    struct inflater *inflater = inflater_create();
    for (int bits = 9; bits <= 15; bits++) {
        struct deflater *deflater = deflater_create(bits);
        for (int kind = 0; kind < 3; kind++) {
            for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
                struct buf packed, plain;
                buf_init(&packed, BIG);
                buf_init(&plain, lengths[i]);
                fill(text, lengths[i], kind);
                struct slice message = slice_of(text, lengths[i]);
                CU_ASSERT_EQUAL(deflater_run(deflater, message, &packed), ERR_OK);
                CU_ASSERT_TRUE(packed.len > 0);
                CU_ASSERT_EQUAL(inflate_cut(inflater, buf_slice(&packed), packed.len / 3, &plain),
                                ERR_OK);
                CU_ASSERT_TRUE(slice_equals(buf_slice(&plain), message));
                buf_fini(&packed);
                buf_fini(&plain);
            }
        }
        deflater_destroy(deflater);
    }
    inflater_destroy(inflater);
    free(text);
}

static void the_tail_is_taken_off_and_the_rest_left_alone(void)
{
    struct deflater *deflater = deflater_create(15);
    struct buf out;
    buf_init(&out, BIG);
    buf_append_str(&out, "head");
    for (int i = 0; i < 3; i++) {
        out.len = 4;
        CU_ASSERT_EQUAL(deflater_run(deflater, slice_str("Hello"), &out), ERR_OK);
        /* RFC 7692 7.2.3.1 */
        CU_ASSERT_TRUE(
            slice_equals(buf_slice(&out), slice_of("head\xf2\x48\xcd\xc9\xc9\x07\0", 11)));
    }
    buf_fini(&out);
    deflater_destroy(deflater);
}

/* RFC 7692 7.2.3.6: one octet, after another message too, where zlib would give none. */
static void an_empty_message_is_the_octet_0(void)
{
    struct deflater *deflater = deflater_create(15);
    for (int i = 0; i < 3; i++) {
        struct buf out;
        buf_init(&out, BIG);
        CU_ASSERT_EQUAL(deflater_run(deflater, slice_of("", 0), &out), ERR_OK);
        CU_ASSERT_TRUE(slice_equals(buf_slice(&out), slice_of("", 1)));
        CU_ASSERT_EQUAL(deflater_run(deflater, slice_str("text"), &out), ERR_OK);
        buf_fini(&out);
    }
    deflater_destroy(deflater);
}

static void deflating_stops_at_the_bound(void)
{
    char text[2000];
    struct deflater *deflater = deflater_create(15);
    struct buf out;
    buf_init(&out, BIG);
    fill(text, sizeof text, 1);
    CU_ASSERT_EQUAL(deflater_run(deflater, slice_of(text, sizeof text), &out), ERR_OK);
    size_t need = out.len + 5;
    buf_fini(&out);
    for (size_t max = 0; max <= need + 1; max++) {
        buf_init(&out, max);
        CU_ASSERT_EQUAL(deflater_run(deflater, slice_of(text, sizeof text), &out),
                        max < need ? ERR_FULL : ERR_OK);
        CU_ASSERT_EQUAL(out.err, max < need ? ERR_FULL : ERR_OK);
        CU_ASSERT_TRUE(out.len <= max);
        buf_fini(&out);
    }
    deflater_destroy(deflater);
}

/* RFC 7692 7.1.2.1: no distance may pass the window that was agreed on. */
static void the_window_is_kept_to(void)
{
    enum { WINDOW = 512, PERIOD = 700 };
    char text[PERIOD * 4];
    fill(text, PERIOD, 2);
    for (size_t i = PERIOD; i < sizeof text; i++)
        text[i] = text[i - PERIOD];
    for (int bits = 9; bits <= 10; bits++) {
        struct deflater *deflater = deflater_create(bits);
        struct buf out;
        buf_init(&out, BIG);
        CU_ASSERT_EQUAL(deflater_run(deflater, slice_of(text, sizeof text), &out), ERR_OK);
        /* The repetition is out of reach of the smaller window, so nothing is gained by it. */
        CU_ASSERT_EQUAL(out.len < sizeof text / 2, bits == 10);
        buf_fini(&out);
        deflater_destroy(deflater);
    }
}

struct example {
    const char *packed;
    size_t len;
    const char *plain; /* NULL: broken */
};

#define EXAMPLE(packed, plain)                                                                     \
    {                                                                                              \
        packed, sizeof packed - 1, plain                                                           \
    }

/* RFC 7692 7.2.3, and what peers make of it. */
static const struct example examples[] = {
    EXAMPLE("\xf2\x48\xcd\xc9\xc9\x07\0", "Hello"),
    EXAMPLE("\0\x05\0\xfa\xffHello\0", "Hello"),
    EXAMPLE("\xf3\x48\xcd\xc9\xc9\x07\0\0", "Hello"),
    EXAMPLE("\xf3\x48\xcd\xc9\xc9\x07\0", "Hello"),
    EXAMPLE("\xf3\x48\xcd\xc9\xc9\x07\0\xf3\x48\xcd\xc9\xc9\x07\0", "HelloHello"),
    EXAMPLE("\xf2\x48\x05\0\0\0\xff\xff\xca\xc9\xc9\x07\0", "Hello"),
    EXAMPLE("\0", ""),
    EXAMPLE("", ""),
    EXAMPLE("\x02\0", ""),
    EXAMPLE("\x03\0", ""),
    EXAMPLE("\0\0\0\xff\xff\0", ""),
    EXAMPLE("\x07", NULL),                                     /* reserved block type */
    EXAMPLE("\xf2\x48", NULL),                                 /* cut short */
    EXAMPLE("\xf2\x48\xcd\xc9\xc9\x07", NULL),                 /* cut short at its end */
    EXAMPLE("\0\x05\0\xfa\xfe", NULL),                         /* lengths disagree */
    EXAMPLE("\0\x05\0\xfa\xffHel", NULL),                      /* shorter than it says */
    EXAMPLE("\xf2\0\x11\0\0", NULL),                           /* 7.2.3.2, without its context */
    EXAMPLE("\xf3\x48\xcd\xc9\xc9\x07\0\xf2\0\x11\0\0", NULL), /* nor across a final block */
    EXAMPLE("\xf3\x48\xcd\xc9\xc9\x07\0\x07", NULL),           /* rubbish behind a final block */
};

static void inflates_the_examples_however_they_are_cut(void)
{
    struct inflater *inflater = inflater_create();
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        for (size_t cut = 0; cut <= examples[i].len; cut++) {
            struct buf out;
            buf_init(&out, examples[i].plain != NULL ? strlen(examples[i].plain) : 100);
            enum err err =
                inflate_cut(inflater, slice_of(examples[i].packed, examples[i].len), cut, &out);
            CU_ASSERT_EQUAL(err, examples[i].plain != NULL ? ERR_OK : ERR_INVALID);
            if (examples[i].plain != NULL)
                CU_ASSERT_TRUE(slice_equals_str(buf_slice(&out), examples[i].plain));
            buf_fini(&out);
        }
    }
    inflater_destroy(inflater);
}

static void inflating_stops_at_the_bound_whatever_the_ratio(void)
{
    char *text = malloc(BIG);
    struct deflater *deflater = deflater_create(15);
    struct inflater *inflater = inflater_create();
    struct buf packed;
    fill(text, BIG, 0);
    buf_init(&packed, BIG);
    CU_ASSERT_EQUAL(deflater_run(deflater, slice_of(text, BIG), &packed), ERR_OK);
    static const size_t bounds[] = {0, 1, 255, 256, 1000, 65536, BIG - 1, BIG, BIG + 1};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        struct buf out;
        buf_init(&out, bounds[i]);
        enum err err = inflate_cut(inflater, buf_slice(&packed), 0, &out);
        CU_ASSERT_EQUAL(err, bounds[i] < BIG ? ERR_FULL : ERR_OK);
        CU_ASSERT_TRUE(out.len <= bounds[i] && out.cap <= bounds[i]);
        CU_ASSERT_EQUAL(out.len, bounds[i] < BIG ? bounds[i] : BIG);
        buf_fini(&out);
    }
    buf_fini(&packed);
    inflater_destroy(inflater);
    deflater_destroy(deflater);
    free(text);
}

static void a_bound_of_the_very_length_is_enough(void)
{
    struct inflater *inflater = inflater_create();
    for (size_t max = 0; max <= 6; max++) {
        struct buf out;
        buf_init(&out, max);
        enum err err = inflate_cut(inflater, slice_of("\xf2\x48\xcd\xc9\xc9\x07\0", 7), 3, &out);
        CU_ASSERT_EQUAL(err, max < 5 ? ERR_FULL : ERR_OK);
        buf_fini(&out);
    }
    inflater_destroy(inflater);
}

static enum err run_both(bool *created)
{
    struct deflater *deflater = deflater_create(15);
    struct inflater *inflater = inflater_create();
    char text[3000];
    struct buf packed, plain;
    enum err err = ERR_NOMEM;
    buf_init(&packed, BIG);
    buf_init(&plain, BIG);
    fill(text, sizeof text, 1);
    *created = deflater != NULL && inflater != NULL;
    if (*created) {
        err = deflater_run(deflater, slice_of(text, sizeof text), &packed);
        if (err == ERR_OK)
            err = inflate_cut(inflater, buf_slice(&packed), packed.len / 2, &plain);
    }
    buf_fini(&packed);
    buf_fini(&plain);
    inflater_destroy(inflater);
    deflater_destroy(deflater);
    return err;
}

static void each_lack_of_memory_is_reported(void)
{
    bool failed = true, created = false;
    for (unsigned nth = 1; failed; nth++) {
        CU_ASSERT_FATAL(nth < 100);
        mem_fail_after(nth);
        enum err err = run_both(&created);
        failed = mem_fail_after(0) >= nth;
        CU_ASSERT_EQUAL(err, failed ? ERR_NOMEM : ERR_OK);
    }
    CU_ASSERT_TRUE(created);
    deflater_destroy(NULL);
    inflater_destroy(NULL);
}

CU_TestInfo deflate_tests[] = {
    {"what_is_deflated_inflates_to_the_same", what_is_deflated_inflates_to_the_same},
    {"the_tail_is_taken_off_and_the_rest_left_alone",
     the_tail_is_taken_off_and_the_rest_left_alone},
    {"an_empty_message_is_the_octet_0", an_empty_message_is_the_octet_0},
    {"deflating_stops_at_the_bound", deflating_stops_at_the_bound},
    {"the_window_is_kept_to", the_window_is_kept_to},
    {"inflates_the_examples_however_they_are_cut", inflates_the_examples_however_they_are_cut},
    {"inflating_stops_at_the_bound_whatever_the_ratio",
     inflating_stops_at_the_bound_whatever_the_ratio},
    {"a_bound_of_the_very_length_is_enough", a_bound_of_the_very_length_is_enough},
    {"each_lack_of_memory_is_reported", each_lack_of_memory_is_reported},
    CU_TEST_INFO_NULL,
};
