#include "core/ws/frame.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <string.h>

#include "core/base/utf8.h"

static bool writes(enum ws_opcode opcode, bool compressed, size_t payload_len, const char *expected,
                   size_t expected_len)
{
    unsigned char out[WS_FRAME_HEADER_MAX + 1];
    memset(out, 0xEE, sizeof out);
    size_t len = ws_frame_write_header(opcode, compressed, payload_len, out);
    return len == expected_len && len == ws_frame_header_len(payload_len) &&
           memcmp(out, expected, len) == 0 && out[len] == 0xEE;
}

/* RFC 6455 5.2 and 5.7. */
static void writes_lengths_in_shortest_form(void)
{
    CU_ASSERT_TRUE(writes(WS_TEXT, false, 0, "\x81\x00", 2));
    CU_ASSERT_TRUE(writes(WS_TEXT, false, 5, "\x81\x05", 2));
    CU_ASSERT_TRUE(writes(WS_BINARY, false, 125, "\x82\x7d", 2));
    CU_ASSERT_TRUE(writes(WS_BINARY, false, 126, "\x82\x7e\x00\x7e", 4));
    CU_ASSERT_TRUE(writes(WS_BINARY, false, 256, "\x82\x7e\x01\x00", 4));
    CU_ASSERT_TRUE(writes(WS_BINARY, false, 65535, "\x82\x7e\xff\xff", 4));
    CU_ASSERT_TRUE(writes(WS_BINARY, false, 65536, "\x82\x7f\0\0\0\0\0\1\0\0", 10));
    CU_ASSERT_TRUE(
        writes(WS_TEXT, false, SIZE_MAX / 2, "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10));
}

static void writes_control_frames(void)
{
    CU_ASSERT_TRUE(writes(WS_PING, false, 0, "\x89\x00", 2));
    CU_ASSERT_TRUE(writes(WS_PONG, false, 125, "\x8a\x7d", 2));
    CU_ASSERT_TRUE(writes(WS_CLOSE, false, 2, "\x88\x02", 2));
}

/* RFC 7692 6. */
static void marks_compressed_messages(void)
{
    CU_ASSERT_TRUE(writes(WS_TEXT, true, 7, "\xc1\x07", 2));
    CU_ASSERT_TRUE(writes(WS_BINARY, true, 1000, "\xc2\x7e\x03\xe8", 4));
}

static void *write_some(void *arg)
{
    size_t *good = arg;
    for (size_t len = 0; len < 1000; len++) {
        unsigned char out[WS_FRAME_HEADER_MAX];
        *good += ws_frame_write_header(WS_TEXT, false, len, out) == (len < 126 ? 2u : 4u);
    }
    return NULL;
}

static void threads_write_side_by_side(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    size_t good[THREADS] = {0};
    for (size_t i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, write_some, &good[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(good[i], 1000);
    }
}

static void a_close_has_code_and_reason(void)
{
    unsigned char out[WS_CONTROL_FRAME_MAX];
    CU_ASSERT_EQUAL(ws_frame_write_close(WS_CLOSE_NONE, slice_str("no"), out), 2);
    CU_ASSERT_EQUAL(memcmp(out, "\x88\x00", 2), 0);
    CU_ASSERT_EQUAL(ws_frame_write_close(1000, SLICE_NONE, out), 4);
    CU_ASSERT_EQUAL(memcmp(out, "\x88\x02\x03\xe8", 4), 0);
    CU_ASSERT_EQUAL(ws_frame_write_close(4002, slice_str("slow"), out), 8);
    CU_ASSERT_EQUAL(memcmp(out, "\x88\x06\x0f\xa2slow", 8), 0);
}

/* RFC 6455 5.5: 125 bytes; 5.5.1: what is left of the reason has to be UTF-8. */
static void a_long_reason_is_cut_between_characters(void)
{
    static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x92\xa9"};
    for (size_t c = 0; c < sizeof characters / sizeof *characters; c++) {
        size_t width = strlen(characters[c]);
        for (size_t ascii = 0; ascii < 130; ascii++) {
            char reason[256];
            size_t len = ascii;
            unsigned char out[WS_CONTROL_FRAME_MAX];
            memset(reason, 'x', ascii);
            for (; len + width < 140; len += width)
                memcpy(reason + len, characters[c], width);
            size_t written = ws_frame_write_close(1000, slice_of(reason, len), out);
            CU_ASSERT_TRUE(written <= WS_CONTROL_FRAME_MAX);
            CU_ASSERT_TRUE(written > WS_CONTROL_FRAME_MAX - width);
            CU_ASSERT_EQUAL(out[1], written - 2);
            CU_ASSERT_TRUE(utf8_is_valid(out + 4, written - 4));
            CU_ASSERT_EQUAL(memcmp(out + 4, reason, written - 4), 0);
        }
    }
}

static void a_reason_of_123_bytes_stays_whole(void)
{
    char reason[WS_CLOSE_REASON_MAX + 1];
    unsigned char out[WS_CONTROL_FRAME_MAX];
    memset(reason, 'x', sizeof reason);
    for (size_t len = WS_CLOSE_REASON_MAX - 1; len <= sizeof reason; len++) {
        size_t kept = len < WS_CLOSE_REASON_MAX ? len : WS_CLOSE_REASON_MAX;
        CU_ASSERT_EQUAL(ws_frame_write_close(1001, slice_of(reason, len), out), 4 + kept);
    }
}

static void knows_the_close_codes_that_may_be_sent(void)
{
    static const struct {
        unsigned first, last;
        bool valid;
    } ranges[] = {
        {0, 999, false},     {1000, 1003, true}, {1004, 1006, false},  {1007, 1014, true},
        {1015, 2999, false}, {3000, 4999, true}, {5000, 65535, false},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        for (unsigned code = ranges[i].first; code <= ranges[i].last; code++)
            CU_ASSERT_EQUAL(ws_close_code_is_valid(code), ranges[i].valid);
    }
}

CU_TestInfo frame_tests[] = {
    {"writes_lengths_in_shortest_form", writes_lengths_in_shortest_form},
    {"writes_control_frames", writes_control_frames},
    {"marks_compressed_messages", marks_compressed_messages},
    {"threads_write_side_by_side", threads_write_side_by_side},
    {"a_close_has_code_and_reason", a_close_has_code_and_reason},
    {"a_long_reason_is_cut_between_characters", a_long_reason_is_cut_between_characters},
    {"a_reason_of_123_bytes_stays_whole", a_reason_of_123_bytes_stays_whole},
    {"knows_the_close_codes_that_may_be_sent", knows_the_close_codes_that_may_be_sent},
    CU_TEST_INFO_NULL,
};
