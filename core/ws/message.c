#include "core/ws/message.h"

#include <assert.h>

/*
 * Memory follows the bytes that came, never a length that was announced: the buffer doubles as it
 * fills. A message that is there in one piece is not copied at all.
 */

const struct ws_breach ws_out_of_memory = {WS_CLOSE_INTERNAL, "out of memory"};

static const struct ws_breach too_big = {WS_CLOSE_MESSAGE_TOO_BIG, "message too big"};
static const struct ws_breach too_many_fragments = {WS_CLOSE_MESSAGE_TOO_BIG, "too many fragments"};
static const struct ws_breach bad_utf8 = {WS_CLOSE_INVALID_PAYLOAD, "invalid UTF-8"};
static const struct ws_breach bad_deflate = {WS_CLOSE_INVALID_PAYLOAD, "invalid compressed data"};

void ws_message_init(struct ws_message *message, size_t max_bytes)
{
    *message = (struct ws_message){0};
    buf_init(&message->bytes, max_bytes);
}

void ws_message_fini(struct ws_message *message)
{
    assert(message->inflater == NULL);
    buf_fini(&message->bytes);
}

void ws_message_begin(struct ws_message *message, const struct ws_header *header)
{
    assert(!message->open && message->bytes.len == 0);
    message->open = true;
    message->compressed = header->compressed;
    message->opcode = header->opcode;
    message->fragments = 0;
    message->utf8 = (struct utf8_state){0};
}

const struct ws_breach *ws_message_count_frame(struct ws_message *message,
                                               const struct ws_header *header,
                                               const struct ws_limits *limits)
{
    if (message->fragments == limits->max_fragments)
        return &too_many_fragments;
    message->fragments++;
    /* How long a compressed frame is says nothing about what comes out of it. */
    if (!message->compressed &&
        header->payload_len > limits->max_message_bytes - message->bytes.len)
        return &too_big;
    return NULL;
}

static const struct ws_breach *breach_of(enum err err)
{
    switch (err) {
    case ERR_OK:
        return NULL;
    case ERR_FULL:
        return &too_big;
    case ERR_NOMEM:
        return &ws_out_of_memory;
    default:
        return &bad_deflate;
    }
}

/* RFC 6455 8.1, at the first octet that cannot be valid, wherever fragments are cut. */
static const struct ws_breach *judge_text(struct ws_message *message, struct slice text, bool last)
{
    if (message->opcode != WS_TEXT)
        return NULL;
    if (!utf8_feed(&message->utf8, text.ptr, text.len))
        return &bad_utf8;
    return last && !utf8_is_complete(&message->utf8) ? &bad_utf8 : NULL;
}

static const struct ws_breach *add_plain(struct ws_message *message, struct slice piece, bool last,
                                         struct slice *whole)
{
    const struct ws_breach *breach = judge_text(message, piece, last);
    if (breach != NULL)
        return breach;
    if (last && message->bytes.len == 0) {
        *whole = piece;
        return NULL;
    }
    buf_append_slice(&message->bytes, piece);
    *whole = buf_slice(&message->bytes);
    return breach_of(message->bytes.err);
}

static const struct ws_breach *add_compressed(struct ws_message *message, struct slice piece,
                                              bool last, struct slice *whole)
{
    size_t before = message->bytes.len;
    enum err err = inflater_feed(message->inflater, piece, last, &message->bytes);
    /* A value has a pointer even when it is empty. */
    *whole = message->bytes.len > 0 ? buf_slice(&message->bytes) : slice_str("");
    /* What came out before an error is judged first, so that the answer does not depend on how TCP
     * cut the frame. */
    const struct ws_breach *breach =
        judge_text(message, slice_skip(*whole, before), last && err == ERR_OK);
    return breach != NULL ? breach : breach_of(err);
}

const struct ws_breach *ws_message_add(struct ws_message *message, struct slice piece, bool last,
                                       struct slice *whole)
{
    return message->compressed ? add_compressed(message, piece, last, whole)
                               : add_plain(message, piece, last, whole);
}

void ws_message_end(struct ws_message *message)
{
    message->open = false;
    if (message->bytes.cap > WS_MESSAGE_KEEP_BYTES)
        buf_fini(&message->bytes);
    buf_clear(&message->bytes);
}
