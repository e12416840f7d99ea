/*
 * What a client may send, to core/ws/session: any octets, in any pieces. However they are cut, the
 * same has to be heard, and nothing may be heard that a rule forbids. A second implementation of
 * RFC 6455, the model below, says what has to be heard, up to the first compressed message that is
 * broken, too big or holds a final block.
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
#include <zlib.h>

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
    bool over, broke_rule;
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
    listener->broke_rule = kind == 'e';
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
static struct listener listen_to(unsigned char options, struct slice octets, size_t step)
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
    require(ws_pool_bytes_in_use(pool) == ws_session_bytes(&listener.session));
    ws_session_fini(&listener.session, pool);
    require(ws_pool_in_use(pool) == 0 && ws_pool_bytes_in_use(pool) == 0);
    ws_pool_destroy(pool);
    return listener;
}

/* --- the model: all octets at once, one frame after the other --- */

struct model {
    unsigned char options;
    struct ws_limits limits;
    const unsigned char *at, *end;
    struct buf heard, message, packed;
    size_t events;
    bool over, ignores, gives_up;
    bool open, compressed, fin; /* a message is; its frame is the last */
    unsigned first, opcode, message_opcode, fragments;
};

static void model_note(struct model *model, char kind, unsigned code, struct slice payload)
{
    buf_printf(&model->heard, "%c%u,%zu:", kind, code, payload.len);
    buf_append_slice(&model->heard, payload);
    model->events++;
    model->over = kind == 'c' || (model->events == 2 && (model->options & STOP) != 0);
    model->ignores = model->ignores || (model->events == 2 && (model->options & IGNORE) != 0);
}

/* The reason is not the model's. */
static void model_error(struct model *model, unsigned code)
{
    buf_printf(&model->heard, "e%u,", code);
    model->over = true;
}

static bool model_is_close_code(unsigned code)
{
    static const unsigned from_to[][2] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};
    for (size_t i = 0; i < sizeof from_to / sizeof *from_to; i++)
        if (code >= from_to[i][0] && code <= from_to[i][1])
            return true;
    return false;
}

static void model_control(struct model *model, struct slice payload)
{
    const unsigned char *octets = (const unsigned char *)payload.ptr;
    unsigned code = payload.len >= 2 ? octets[0] * 256U + octets[1] : 0;
    struct slice reason = payload.len >= 2 ? slice_skip(payload, 2) : slice_str("");
    if (model->opcode == WS_PING && !model->ignores)
        model_note(model, 'p', 0, payload);
    if (model->opcode != WS_CLOSE)
        return;
    if (payload.len >= 2 && !model_is_close_code(code))
        model_error(model, 1002);
    else if (!utf8_is_valid(reason.ptr, reason.len))
        model_error(model, 1007);
    else
        model_note(model, 'c', code, reason);
}

/* A message's text may end within a character only where more of it can come. */
static bool model_is_text(const struct model *model, bool last)
{
    struct utf8_state state = {0};
    return utf8_feed(&state, model->message.ptr, model->message.len) &&
           (!last || utf8_is_complete(&state));
}

/* What comes out of all that came of the message, by zlib alone. */
static void model_inflate(struct model *model, bool last)
{
    static const unsigned char tail[] = {0x00, 0x00, 0xFF, 0xFF};
    static unsigned char plain[65536 + 1];
    z_stream stream = {.next_out = plain, .avail_out = sizeof plain};
    if (model->packed.len == 0)
        return;
    if (last)
        buf_append(&model->packed, tail, sizeof tail);
    stream.next_in = (unsigned char *)model->packed.ptr;
    stream.avail_in = (unsigned)model->packed.len;
    require(inflateInit2(&stream, -MAX_WBITS) == Z_OK);
    int result = inflate(&stream, Z_SYNC_FLUSH);
    size_t len = sizeof plain - stream.avail_out;
    bool is_whole =
        (stream.data_type & (128 | 7)) == 128; /* between two blocks, with no bits left */
    model->gives_up = (result != Z_OK && result != Z_BUF_ERROR) || (last && !is_whole) ||
                      len > model->limits.max_message_bytes;
    buf_clear(&model->message);
    buf_append(&model->message, plain, len);
    require(inflateEnd(&stream) == Z_OK);
}

static void model_data(struct model *model, struct slice payload, bool is_whole)
{
    bool last = model->fin && is_whole;
    if (!model->ignores) {
        buf_append_slice(model->compressed ? &model->packed : &model->message, payload);
        if (model->compressed)
            model_inflate(model, last);
        if (model->gives_up)
            return;
        if (model->message_opcode == WS_TEXT && !model_is_text(model, last)) {
            model_error(model, 1007);
            return;
        }
        if (last)
            model_note(model, 'm', model->message_opcode, buf_slice(&model->message));
    }
    model->open = model->open && !last;
}

static void model_begin_data(struct model *model, uint64_t len)
{
    if (!model->open) {
        model->message_opcode = model->opcode;
        model->compressed = (model->first & 0x40) != 0;
        model->fragments = 0;
        buf_clear(&model->message);
        buf_clear(&model->packed);
    }
    model->open = true;
    if (model->ignores)
        return;
    if (model->fragments++ == model->limits.max_fragments ||
        (!model->compressed && len > model->limits.max_message_bytes - model->message.len))
        model_error(model, 1009);
}

/* RFC 6455 5.2, as far as the first two octets tell. */
static bool model_is_header(const struct model *model)
{
    size_t have = (size_t)(model->end - model->at);
    unsigned first = model->at[0], opcode = first & 15, second = have > 1 ? model->at[1] : 0x80;
    bool control = opcode >= 8, deflate = (model->options & DEFLATE) != 0;
    if ((first & 0x40) != 0 && (!deflate || opcode == 0 || control))
        return false;
    if ((first & 0x30) != 0 || opcode > 10 || (opcode > 2 && opcode < 8))
        return false;
    if (control ? first < 0x80 : (opcode == 0) != model->open)
        return false;
    return second >= 0x80 && !(control && second - 0x80 > 125) && !(opcode == 8 && second == 0x81);
}

/* The payload's length; false when it is not there yet, or an error. */
static bool model_length(struct model *model, uint64_t *len)
{
    size_t have = (size_t)(model->end - model->at);
    size_t octets = have < 2 || model->at[1] < 0xFE ? 0 : model->at[1] == 0xFE ? 2 : 8;
    *len = have < 2 ? 0 : model->at[1] & 0x7F;
    if (octets == 8 && have > 2 && model->at[2] >= 0x80)
        model_error(model, 1002);
    if (model->over || have < 2 + octets)
        return false;
    for (size_t i = 0; i < octets; i++)
        *len = (i == 0 ? 0 : *len << 8) + model->at[2 + i];
    if ((octets == 2 && *len < 126) || (octets == 8 && *len < 65536))
        model_error(model, 1002);
    model->at += 2 + octets;
    return !model->over && model->end - model->at >= 4;
}

static void model_payload(struct model *model, uint64_t len)
{
    const unsigned char *key = model->at;
    model->at += 4;
    size_t have = (size_t)(model->end - model->at);
    have = have < len ? have : (size_t)len;
    struct buf payload;
    buf_init(&payload, MEMORY_MAX);
    for (size_t i = 0; i < have; i++)
        buf_append_char(&payload, (char)(model->at[i] ^ key[i % 4]));
    model->at += have;
    struct slice plain = have > 0 ? buf_slice(&payload) : slice_str("");
    if (model->opcode < 8)
        model_data(model, plain, have == len);
    else if (have == len)
        model_control(model, plain);
    buf_fini(&payload);
}

static void model_frame(struct model *model)
{
    uint64_t len = 0;
    if (!model_is_header(model)) {
        model_error(model, 1002);
        return;
    }
    model->first = model->at[0];
    model->opcode = model->first & 15;
    model->fin = model->first >= 0x80;
    if (!model_length(model, &len)) {
        model->at = model->end;
        return;
    }
    if (model->opcode < 8)
        model_begin_data(model, len);
    if (!model->over)
        model_payload(model, len);
}

static void compare_with_model(struct listener *listener, struct slice octets)
{
    const char *begin = octets.len != 0 ? octets.ptr : ""; /* nothing can be added to NULL */
    struct model model = {.options = listener->options,
                          .limits = listener->limits,
                          .at = (const unsigned char *)begin,
                          .end = (const unsigned char *)begin + octets.len};
    buf_init(&model.heard, MEMORY_MAX);
    buf_init(&model.message, MEMORY_MAX);
    buf_init(&model.packed, MEMORY_MAX);
    while (model.at < model.end && !model.over && !model.gives_up)
        model_frame(&model);
    struct slice heard = buf_slice(&listener->heard), expected = buf_slice(&model.heard);
    require(slice_starts_with(heard, expected));
    bool is_error = listener->broke_rule;
    require(is_error || model.gives_up || heard.len == expected.len);
    require(!is_error || model.gives_up || model.over);
    buf_fini(&model.heard);
    buf_fini(&model.message);
    buf_fini(&model.packed);
}

/* --- the input --- */

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

    struct listener whole = listen_to(options, buf_slice(&octets), octets.len);
    struct listener cut = listen_to(options, buf_slice(&octets), step);
    require(slice_equals(buf_slice(&whole.heard), buf_slice(&cut.heard)));
    compare_with_model(&whole, buf_slice(&octets));
    buf_fini(&whole.heard);
    buf_fini(&cut.heard);
    buf_fini(&octets);
    return 0;
}
