/*
 * Any text as a message of a client, of a program and of the HTTP API. What is taken is written as
 * JSON that jansson reads, unless it holds what only jansson refuses, and is taken again with the
 * same meaning. What is refused gets an answer that is JSON, too, and is no object for jansson,
 * either, where not a member of it was the reason.
 */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "core/base/utf8.h"
#include "core/chat/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { JSON_FLAGS = JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY };

/* Numbers over a double's range and NUL in a key are JSON, but not for jansson. */
static void must_be_json(const struct buf *buf)
{
    json_error_t error;
    assert(buf->err == ERR_OK);
    json_t *json = json_loadb(buf->ptr, buf->len, JSON_FLAGS, &error);
    assert(json != NULL || json_error_code(&error) == json_error_numeric_overflow ||
           json_error_code(&error) == json_error_null_byte_in_key);
    assert(json == NULL || json_is_object(json));
    json_decref(json);
}

/* What is refused for the whole text is no object for jansson, either. */
static void check_refused(struct slice text, const struct fault *fault)
{
    assert(fault->code == FAULT_INVALID_PAYLOAD || fault->code == FAULT_CHANNEL_ERROR);
    assert(fault->message != NULL);
    /* jansson overlooks a NUL behind a number. */
    if (fault->field != NULL || strstr(fault->message, "nested") != NULL ||
        memchr(text.ptr, '\0', text.len) != NULL)
        return;
    json_t *json = json_loadb(text.ptr, text.len, JSON_FLAGS, NULL);
    assert(!json_is_object(json));
    json_decref(json);
}

static bool text_equals(const struct envelope_text *a, const struct envelope_text *b)
{
    return slice_equals(slice_of(a->bytes, a->len), slice_of(b->bytes, b->len));
}

static bool is_ping(const struct envelope_text *event)
{
    return slice_equals_str(slice_of(event->bytes, event->len), "ping");
}

static void must_be_the_same(const struct envelope *a, const struct envelope *b)
{
    assert(b->type == a->type);
    assert(a->id.len == 0 || text_equals(&a->id, &b->id));
    /* A ping is answered, not passed on: of a program it would be none. */
    assert(text_equals(&a->event, &b->event) || is_ping(&a->event));
    assert(b->target == (a->target == ENVELOPE_ROOM ? ENVELOPE_ROOM : ENVELOPE_OWN_ROOM));
    assert(text_equals(&a->room, &b->room) || a->target != ENVELOPE_ROOM);
    assert(a->from.len == 0 || text_equals(&a->from, &b->from));
    assert(a->timestamp.len == 0 || text_equals(&a->timestamp, &b->timestamp));
    assert(slice_equals(b->data, a->data.ptr != NULL ? a->data : slice_str("{}")));
}

static void check_taken(const struct envelope *envelope, struct buf *buf)
{
    struct envelope again;
    struct fault fault;
    struct slice room = slice_of(envelope->room.bytes, envelope->room.len);
    envelope_append(buf, envelope, envelope->target == ENVELOPE_ROOM ? room : SLICE_NONE,
                    slice_str("someone"));
    must_be_json(buf);
    enum err err = envelope_parse(buf_slice(buf), ENVELOPE_OF_CLIENT, &again, &fault);
    assert(err == ERR_OK);
    err = envelope_parse(buf_slice(buf), ENVELOPE_OF_PROGRAM, &again, &fault);
    assert(err == ERR_OK);
    must_be_the_same(envelope, &again);
}

static void check(struct slice text, enum envelope_source source)
{
    struct envelope envelope;
    struct fault fault;
    struct buf buf;
    buf_init(&buf, 65536 + 6 * text.len);
    enum err err = envelope_parse(text, source, &envelope, &fault);
    assert((err == ERR_OK) == (fault.code == FAULT_NONE));
    if (err == ERR_OK) {
        check_taken(&envelope, &buf);
    } else {
        check_refused(text, &fault);
        envelope_append_error(&buf, &fault, &envelope);
        must_be_json(&buf);
    }
    buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!utf8_is_valid(data, size))
        return 0;
    check(slice_of(data, size), ENVELOPE_OF_CLIENT);
    check(slice_of(data, size), ENVELOPE_OF_PROGRAM);
    check(slice_of(data, size), ENVELOPE_OF_API);
    return 0;
}
