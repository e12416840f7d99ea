#include "core/ws/frame.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "core/base/mem.h"

/*
 * wslay writes a frame through a callback: the header first, then the payload in place. Only the
 * header is kept here; the payload is pretended to have been sent, so that the context is at a
 * frame's end again. Creating a context costs more than all the rest, so each thread has one.
 */

struct header_sink {
    unsigned char *out; /* NULL once the header is written */
    size_t len;
};

struct writer {
    wslay_frame_context_ptr context;
    struct header_sink sink;
};

static pthread_once_t writer_once = PTHREAD_ONCE_INIT;
static pthread_key_t writer_key;

static void destroy_writer(void *arg)
{
    struct writer *writer = arg;
    wslay_frame_context_free(writer->context);
    mem_free(writer);
}

static void create_writer_key(void)
{
    if (pthread_key_create(&writer_key, destroy_writer) != 0)
        abort();
}

/* wslay's send callback; called with the header, then with the payload. */
static ssize_t sink_write(const uint8_t *data, size_t len, int flags, void *user_data)
{
    struct header_sink *sink = user_data;
    (void)flags;
    if (sink->out != NULL) {
        assert(len <= WS_FRAME_HEADER_MAX);
        memcpy(sink->out, data, len);
        sink->len = len;
        sink->out = NULL;
    }
    return (ssize_t)len;
}

/* This thread's; one small object of our own, so a lack of memory ends the process (mem.h). */
static struct writer *thread_writer(void)
{
    pthread_once(&writer_once, create_writer_key);
    struct writer *writer = pthread_getspecific(writer_key);
    if (writer != NULL)
        return writer;
    writer = mem_zalloc(sizeof *writer);
    const struct wslay_frame_callbacks callbacks = {.send_callback = sink_write};
    if (wslay_frame_context_init(&writer->context, &callbacks, &writer->sink) != 0 ||
        pthread_setspecific(writer_key, writer) != 0)
        abort();
    return writer;
}

size_t ws_frame_header_len(size_t payload_len)
{
    return payload_len < 126 ? 2 : payload_len <= UINT16_MAX ? 4 : 10;
}

size_t ws_frame_write_header(enum ws_opcode opcode, bool compressed, size_t payload_len, void *out)
{
    assert((opcode & WS_CLOSE) == 0 || payload_len <= WS_CONTROL_PAYLOAD_MAX);
    struct writer *writer = thread_writer();
    writer->sink = (struct header_sink){.out = out};
    struct wslay_frame_iocb frame = {
        .fin = 1,
        .rsv = compressed ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE,
        .opcode = (uint8_t)opcode,
        .payload_length = payload_len,
        .data = out, /* any address: unmasked payload is passed on unread */
        .data_length = payload_len,
    };
    ssize_t sent = wslay_frame_send(writer->context, &frame);
    if (sent < 0 || (size_t)sent != payload_len)
        abort(); /* a payload over 2^63 bytes, or a control frame's over 125: our mistake */
    return writer->sink.len;
}

/* The longest start of the reason that fits and does not end inside a character. */
static size_t reason_fit(struct slice reason)
{
    if (reason.len <= WS_CLOSE_REASON_MAX)
        return reason.len;
    size_t len = WS_CLOSE_REASON_MAX;
    while (len > 0 && ((unsigned char)reason.ptr[len] & 0xC0) == 0x80)
        len--;
    return len;
}

size_t ws_frame_write_close(unsigned code, struct slice reason, void *out)
{
    unsigned char *p = out;
    if (code == WS_CLOSE_NONE)
        return ws_frame_write_header(WS_CLOSE, false, 0, out);
    size_t reason_len = reason_fit(reason);
    p += ws_frame_write_header(WS_CLOSE, false, 2 + reason_len, out);
    *p++ = (unsigned char)(code >> 8);
    *p++ = (unsigned char)code;
    if (reason_len > 0)
        memcpy(p, reason.ptr, reason_len);
    return (size_t)(p - (unsigned char *)out) + reason_len;
}

bool ws_close_code_is_valid(unsigned code)
{
    /* 1004 is reserved, 1005, 1006 and 1015 are for what no Close frame said (RFC 6455 7.4.1). */
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
