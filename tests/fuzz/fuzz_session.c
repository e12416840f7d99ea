/*
 * What a client may send, to core/ws/session: any octets, in any pieces. However they are cut, the
 * same has to be heard, and nothing may be heard that a rule forbids.
 *
 *     octet 0    options: 1 deflate, 2 small limits, 4 the rest is a list of frames, 8 the second
 *                event stops, 16 the second event has data ignored
 *     octet 1    length of the pieces (0 as 1)
 *     the rest   what the client sends; as a list of frames: octet 0, length, payload, ...
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/utf8.h"
#include "core/ws/session.h"

enum {
    DEFLATE = 1,
    SMALL_LIMITS = 2,
    FRAMES = 4,
    STOP = 8,
    IGNORE = 16,
    MEMORY_MAX = 64 * 1024 * 1024,
};

struct listener {
    unsigned char options;
    struct ws_limits limits;
    struct ws_session session;
    size_t events;
    bool over;
    struct buf heard;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void note(struct listener *listener, char kind, unsigned code, struct slice payload)
{
    require(!listener->over && payload.ptr != NULL);
    buf_printf(&listener->heard, "%c%u,%zu:", kind, code, payload.len);
    buf_append_slice(&listener->heard, payload);
    listener->over = kind == 'c' || kind == 'e';
    listener->events++;
    if (listener->events == 2 && (listener->options & STOP) != 0) {
        ws_session_stop(&listener->session);
        listener->over = true;
    }
    if (listener->events == 2 && (listener->options & IGNORE) != 0)
        ws_session_ignore_data(&listener->session);
}

static void on_message(void *arg, enum ws_opcode opcode, struct slice payload)
{
    struct listener *listener = arg;
    require(opcode == WS_TEXT || opcode == WS_BINARY);
    require(opcode == WS_BINARY || utf8_is_valid(payload.ptr, payload.len));
    require(payload.len <= listener->limits.max_message_bytes);
    require(!listener->session.data_ignored);
    note(listener, 'm', opcode, payload);
}

static void on_ping(void *arg, struct slice payload)
{
    require(payload.len <= WS_CONTROL_PAYLOAD_MAX);
    note(arg, 'p', 0, payload);
}

static void on_close(void *arg, unsigned code, struct slice reason)
{
    require(code == WS_CLOSE_NONE || ws_close_code_is_valid(code));
    require(utf8_is_valid(reason.ptr, reason.len));
    note(arg, 'c', code, reason);
}

static void on_error(void *arg, unsigned code, const char *reason)
{
    require(ws_close_code_is_valid(code) && strlen(reason) <= WS_CLOSE_REASON_MAX);
    note(arg, 'e', code, slice_str(reason));
}

/* Feeds all of it in pieces; what was heard is the caller's to free. */
static struct buf listen(unsigned char options, struct slice octets, size_t step)
{
    static const struct ws_handlers handlers = {on_message, on_ping, on_close, on_error};
    const struct deflate_params params = {.enabled = (options & DEFLATE) != 0};
    bool small = (options & SMALL_LIMITS) != 0;
    struct listener listener = {
        .options = options,
        .limits = {.max_message_bytes = small ? 20 : 65536, .max_fragments = small ? 3 : 1024},
    };
    buf_init(&listener.heard, MEMORY_MAX);
    ws_session_init(&listener.session, &params);
    struct ws_pool *pool = ws_pool_create(&listener.limits, &handlers);
    while (octets.len > 0) {
        size_t len = octets.len < step ? octets.len : step;
        ws_session_feed(&listener.session, pool, &listener, slice_of(octets.ptr, len));
        require(ws_pool_in_use(pool) == (ws_session_is_midway(&listener.session) ? 1 : 0));
        octets = slice_skip(octets, len);
    }
    ws_session_fini(&listener.session, pool);
    require(ws_pool_in_use(pool) == 0);
    ws_pool_destroy(pool);
    return listener.heard;
}

/* Makes masked frames of the list. */
static void write_frames(struct buf *octets, struct slice list)
{
    static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
    while (list.len >= 2) {
        size_t len = (unsigned char)list.ptr[1] & 0x7f;
        buf_append_char(octets, list.ptr[0]);
        list = slice_skip(list, 2);
        len = len > 125 ? 125 : len;
        len = len > list.len ? list.len : len;
        buf_append_char(octets, (char)(0x80 | len));
        buf_append(octets, key, sizeof key);
        for (size_t i = 0; i < len; i++)
            buf_append_char(octets, (char)(list.ptr[i] ^ key[i % sizeof key]));
        list = slice_skip(list, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned char options = data[0];
    size_t step = data[1] != 0 ? data[1] : 1;
    struct buf octets;
    buf_init(&octets, MEMORY_MAX);
    if ((options & FRAMES) != 0)
        write_frames(&octets, slice_of(data + 2, size - 2));
    else
        buf_append(&octets, data + 2, size - 2);

    struct buf whole = listen(options, buf_slice(&octets), octets.len);
    struct buf cut = listen(options, buf_slice(&octets), step);
    require(slice_equals(buf_slice(&whole), buf_slice(&cut)));
    buf_fini(&whole);
    buf_fini(&cut);
    buf_fini(&octets);
    return 0;
}
