#include "core/chat/message.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/ws/deflate.h"

static struct slice long_json(void)
{
    static char json[3000];
    size_t len = (size_t)snprintf(json, sizeof json, "{\"data\":\"");
    memset(json + len, 'x', sizeof json - len);
    memcpy(json + sizeof json - 2, "\"}", 2);
    return slice_of(json, sizeof json);
}

/* Lengths at which the header's form changes (RFC 6455 5.2). */
static void is_one_whole_text_frame(void)
{
    static const struct {
        size_t len, header_len;
        unsigned char header[10];
    } rows[] = {
        {0, 2, {0x81, 0}},
        {1, 2, {0x81, 1}},
        {125, 2, {0x81, 125}},
        {126, 4, {0x81, 126, 0, 126}},
        {65535, 4, {0x81, 126, 0xFF, 0xFF}},
        {65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
    };
    static char text[65536];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct message *message = message_try_create(WS_TEXT, slice_of(text, rows[i].len), 7);
        CU_ASSERT_PTR_NOT_NULL_FATAL(message);
        struct slice frame = message_frame(message, false);
        CU_ASSERT_EQUAL(frame.len, rows[i].header_len + rows[i].len);
        CU_ASSERT_EQUAL(memcmp(frame.ptr, rows[i].header, rows[i].header_len), 0);
        CU_ASSERT_TRUE(slice_equals(message_payload(message), slice_of(text, rows[i].len)));
        CU_ASSERT_EQUAL(message->received_ns, 7);
        message_release(message);
    }
}

static void is_compressed_when_that_is_shorter(void)
{
    struct compressor compressor;
    struct message *message = message_try_create(WS_TEXT, long_json(), 0);
    compressor_init(&compressor);
    CU_ASSERT_TRUE(slice_equals(message_frame(message, true), message_frame(message, false)));
    message_compress(message, &compressor);
    struct slice frame = message_frame(message, true);
    CU_ASSERT_TRUE(frame.len < long_json().len);
    CU_ASSERT_EQUAL((unsigned char)frame.ptr[0], 0xC1);
    CU_ASSERT_EQUAL((unsigned char)message_frame(message, false).ptr[0], 0x81);

    struct inflater *inflater = inflater_create();
    struct buf out;
    buf_init(&out, 65536);
    size_t header_len = frame.ptr[1] < 126 ? 2 : 4;
    CU_ASSERT_EQUAL(inflater_feed(inflater, slice_skip(frame, header_len), true, &out), ERR_OK);
    CU_ASSERT_TRUE(slice_equals(buf_slice(&out), long_json()));
    inflater_destroy(inflater);
    buf_fini(&out);
    message_release(message);
    compressor_fini(&compressor);
}

static void stays_plain_when_compression_gains_nothing(void)
{
    struct compressor compressor;
    compressor_init(&compressor);
    struct message *message = message_try_create(WS_TEXT, slice_str("{}"), 0);
    message_compress(message, &compressor);
    CU_ASSERT_TRUE(slice_equals(message_frame(message, true), message_frame(message, false)));
    message_release(message);
    compressor_fini(&compressor);
}

static void a_compressor_serves_many_messages(void)
{
    struct compressor compressor;
    size_t first = 0;
    compressor_init(&compressor);
    for (int i = 0; i < 5; i++) {
        struct message *message = message_try_create(WS_TEXT, long_json(), 0);
        message_compress(message, &compressor);
        size_t len = message_frame(message, true).len;
        if (i == 0)
            first = len;
        CU_ASSERT_EQUAL(len, first); /* nothing of one is needed for the next */
        message_release(message);
    }
    compressor_fini(&compressor);
}

static void lives_until_its_last_count(void)
{
    struct message *message = message_try_create(WS_TEXT, slice_str("{}"), 0);
    CU_ASSERT_PTR_EQUAL(message_retain(message), message);
    message_release(message);
    CU_ASSERT_TRUE(slice_equals_str(message_payload(message), "{}"));
    message_release(message);
    message_release(NULL);
}

static void without_memory_there_is_none(void)
{
    struct message *message = NULL;
    unsigned nth = 0;
    while (message == NULL && nth < 10) {
        mem_fail_after(++nth);
        message = message_try_create(WS_TEXT, slice_str("{}"), 0);
    }
    mem_fail_after(0);
    CU_ASSERT_EQUAL(nth, 3); /* the message and its frame */
    message_release(message);
}

static void without_memory_it_stays_plain(void)
{
    for (unsigned nth = 1; nth <= 10; nth++) {
        struct compressor compressor;
        struct message *message = message_try_create(WS_TEXT, long_json(), 0);
        compressor_init(&compressor);
        mem_fail_after(nth);
        message_compress(message, &compressor);
        unsigned tries = mem_fail_after(0);
        bool failed = tries >= nth;
        struct slice plain = message_frame(message, false);
        CU_ASSERT_EQUAL(slice_equals(message_frame(message, true), plain), failed);
        if (failed)
            message_compress(message, &compressor);
        CU_ASSERT_FALSE(slice_equals(message_frame(message, true), plain));
        message_release(message);
        compressor_fini(&compressor);
        if (!failed)
            return;
    }
    CU_FAIL("more allocations than expected");
}

CU_TestInfo message_tests[] = {
    {"is_one_whole_text_frame", is_one_whole_text_frame},
    {"is_compressed_when_that_is_shorter", is_compressed_when_that_is_shorter},
    {"stays_plain_when_compression_gains_nothing", stays_plain_when_compression_gains_nothing},
    {"a_compressor_serves_many_messages", a_compressor_serves_many_messages},
    {"lives_until_its_last_count", lives_until_its_last_count},
    {"without_memory_there_is_none", without_memory_there_is_none},
    {"without_memory_it_stays_plain", without_memory_it_stays_plain},
    CU_TEST_INFO_NULL,
};
