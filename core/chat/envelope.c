#include "core/chat/envelope.h"

#include <assert.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/json.h"
#include "core/base/utf8.h"
#include "core/chat/json_read.h"

static const struct slice type_names[ENVELOPE_TYPES] = {
    [ENVELOPE_CHAT] = SLICE_LITERAL("chat"),
    [ENVELOPE_PRESENCE] = SLICE_LITERAL("presence"),
    [ENVELOPE_NOTIFICATION] = SLICE_LITERAL("notification"),
    [ENVELOPE_SYSTEM] = SLICE_LITERAL("system"),
};

const char *envelope_type_name(enum envelope_type type)
{
    return type_names[type].ptr;
}

struct reading {
    enum envelope_source source;
    struct envelope *out;
    struct fault fault; /* the first one */
};

struct member_rule {
    struct slice name;
    struct fault (*take)(struct reading *reading, const struct json_value *value);
};

static const struct fault no_fault = {.code = FAULT_NONE};

static struct fault invalid(const char *message, const char *field)
{
    return (struct fault){.code = FAULT_INVALID_PAYLOAD, .message = message, .field = field};
}

static void keep(struct envelope_text *text, struct slice bytes)
{
    memcpy(text->bytes, bytes.ptr, bytes.len);
    text->len = (unsigned)bytes.len;
}

static struct slice text_slice(const struct envelope_text *text)
{
    return slice_of(text->bytes, text->len);
}

/* --- one function per member --- */

/* What is repeated in an error must not be the same fault again. */
static struct slice repeatable(struct slice raw)
{
    return raw.len <= ENVELOPE_REPEAT_MAX && !json_has_lone_surrogate(raw) ? raw : SLICE_NONE;
}

static struct fault take_id(struct reading *reading, const struct json_value *value)
{
    reading->out->id.len = 0;
    reading->out->raw_id = repeatable(value->raw);
    if (value->kind != JSON_IS_STRING || !uuid_is_valid(value->text))
        return invalid("id must be a UUID", "id");
    keep(&reading->out->id, value->text);
    return no_fault;
}

static struct fault take_ref(struct reading *reading, const struct json_value *value)
{
    struct envelope *out = reading->out;
    if (reading->source == ENVELOPE_OF_API)
        return no_fault; /* its reply is the HTTP answer */
    out->raw_ref = repeatable(value->raw);
    out->ref_given = value->kind == JSON_IS_STRING && value->text.len >= 1 &&
                     value->text.len <= ENVELOPE_REF_MAX;
    if (!out->ref_given)
        return invalid("ref must be a string of 1 to 64 bytes", "ref");
    /* Escapes may have made it long, but the reply needs it. */
    out->raw_ref = json_has_lone_surrogate(value->raw) ? SLICE_NONE : value->raw;
    return no_fault;
}

static struct fault take_type(struct reading *reading, const struct json_value *value)
{
    reading->out->type = ENVELOPE_CHAT;
    reading->out->type_given = true;
    for (int type = 0; value->kind == JSON_IS_STRING && type < ENVELOPE_TYPES; type++) {
        if (slice_equals(value->text, type_names[type])) {
            reading->out->type = (enum envelope_type)type;
            return no_fault;
        }
    }
    return invalid("type must be one of chat, presence, notification, system", "type");
}

static bool is_event_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* {entity}:{action} */
static bool is_event(struct slice text)
{
    size_t side = 0, colons = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == ':' && side != 0 && colons == 0) {
            colons++;
            side = 0;
        } else if (is_event_char(text.ptr[i]) && side < (ENVELOPE_EVENT_MAX - 1) / 2) {
            side++;
        } else {
            return false;
        }
    }
    return colons == 1 && side != 0;
}

/* The one event of clients that has no entity. */
static bool is_ping(struct slice text)
{
    return slice_equals_str(text, "ping");
}

static struct fault take_event(struct reading *reading, const struct json_value *value)
{
    reading->out->event.len = 0;
    bool may_ping = reading->source == ENVELOPE_OF_CLIENT;
    if (value->kind != JSON_IS_STRING ||
        !(is_event(value->text) || (may_ping && is_ping(value->text))))
        return invalid("event must have the form entity:action", "event");
    keep(&reading->out->event, value->text);
    return no_fault;
}

static struct fault take_room(struct reading *reading, const struct json_value *value)
{
    struct envelope *out = reading->out;
    out->target = ENVELOPE_GLOBAL;
    if (value->kind == JSON_IS_NULL || (value->kind == JSON_IS_STRING && value->text.len == 0))
        return no_fault;
    if (value->kind != JSON_IS_STRING)
        return invalid("room must be a string or null", "room");
    struct fault fault = room_check_name(value->text);
    if (fault.code != FAULT_NONE)
        return fault;
    out->target = ENVELOPE_ROOM;
    keep(&out->room, value->text);
    return no_fault;
}

static struct fault take_from(struct reading *reading, const struct json_value *value)
{
    reading->out->from.len = 0;
    if (reading->source == ENVELOPE_OF_CLIENT)
        return no_fault;
    if (value->kind != JSON_IS_STRING || value->text.len == 0 ||
        value->text.len > ENVELOPE_FROM_MAX || utf8_has_control(value->text.ptr, value->text.len))
        return invalid("from must be 1 to 128 bytes without control characters", "from");
    keep(&reading->out->from, value->text);
    return no_fault;
}

/* RFC 3339 in UTC: digits where the pattern has them, any number of digits of a fraction. */
static bool is_timestamp(struct slice text)
{
    static const char pattern[] = "0000-00-00T00:00:00";
    size_t i = 0;
    if (text.len > ENVELOPE_TIMESTAMP_MAX || text.len < sizeof pattern)
        return false;
    for (; pattern[i] != '\0'; i++) {
        bool digit = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        if (pattern[i] == '0' ? !digit : text.ptr[i] != pattern[i])
            return false;
    }
    if (text.ptr[i] == '.') {
        size_t first = ++i;
        while (i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9')
            i++;
        if (i == first)
            return false;
    }
    return i + 1 == text.len && text.ptr[i] == 'Z';
}

static struct fault take_timestamp(struct reading *reading, const struct json_value *value)
{
    reading->out->timestamp.len = 0;
    if (reading->source == ENVELOPE_OF_PROGRAM && value->kind == JSON_IS_STRING &&
        is_timestamp(value->text))
        keep(&reading->out->timestamp, value->text);
    return no_fault;
}

static struct fault take_data(struct reading *reading, const struct json_value *value)
{
    reading->out->data = value->raw;
    return no_fault;
}

/* What is in them is read by who knows how many there may be. */
static struct fault take_rooms(struct reading *reading, const struct json_value *value)
{
    reading->out->rooms = reading->source == ENVELOPE_OF_API ? value->raw : SLICE_NONE;
    return no_fault;
}

static struct fault take_users(struct reading *reading, const struct json_value *value)
{
    reading->out->users = reading->source == ENVELOPE_OF_API ? value->raw : SLICE_NONE;
    return no_fault;
}

static const struct member_rule member_rules[] = {
    {SLICE_LITERAL("data"), take_data},   {SLICE_LITERAL("type"), take_type},
    {SLICE_LITERAL("event"), take_event}, {SLICE_LITERAL("id"), take_id},
    {SLICE_LITERAL("ref"), take_ref},     {SLICE_LITERAL("room"), take_room},
    {SLICE_LITERAL("from"), take_from},   {SLICE_LITERAL("timestamp"), take_timestamp},
    {SLICE_LITERAL("rooms"), take_rooms}, {SLICE_LITERAL("users"), take_users},
};

/* --- reading --- */

static void take_member(void *arg, struct slice name, const struct json_value *value)
{
    struct reading *reading = arg;
    bool counts = reading->source != ENVELOPE_OF_PROGRAM && reading->fault.code == FAULT_NONE;
    for (size_t i = 0; i < sizeof member_rules / sizeof *member_rules; i++) {
        if (!slice_equals(name, member_rules[i].name))
            continue;
        struct fault fault = member_rules[i].take(reading, value);
        if (fault.code != FAULT_NONE && counts)
            reading->fault = fault;
        return;
    }
}

static struct fault read_all(struct reading *reading, struct slice json)
{
    enum json_kind kind;
    switch (json_read(json, ENVELOPE_DEPTH_MAX, take_member, reading, &kind)) {
    case JSON_NO_MEMORY:
        return (struct fault){.code = FAULT_INTERNAL, .message = "out of memory"};
    case JSON_TOO_DEEP:
        return invalid("a message must not be nested deeper than 64 levels", NULL);
    case JSON_MALFORMED:
        return invalid("a message must be valid JSON", NULL);
    case JSON_OK:
        break;
    }
    if (kind != JSON_IS_OBJECT)
        return invalid("a message must be a JSON object", NULL);
    if (json_has_lone_surrogate(json))
        return invalid("a string must not hold half of a surrogate pair", NULL);
    return reading->fault;
}

enum err envelope_parse(struct slice json, enum envelope_source source, struct envelope *out,
                        struct fault *fault)
{
    struct reading reading = {.source = source, .out = out};
    out->type = ENVELOPE_CHAT;
    out->target = ENVELOPE_OWN_ROOM;
    out->type_given = out->ref_given = false;
    out->id.len = out->event.len = out->room.len = out->from.len = out->timestamp.len = 0;
    out->data = out->raw_id = out->raw_ref = out->rooms = out->users = SLICE_NONE;
    *fault = read_all(&reading, json);
    if (fault->code == FAULT_NONE)
        return ERR_OK;
    return fault->code == FAULT_INTERNAL ? ERR_NOMEM : ERR_INVALID;
}

/* --- writing --- */

static void append_new_id(struct buf *buf)
{
    char id[UUID_TEXT_LEN];
    uuid_make_v7(id);
    buf_append(buf, id, sizeof id);
}

static void append_now(struct buf *buf)
{
    char now[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(clock_wall_ms(), now);
    buf_append(buf, now, sizeof now - 1);
}

void envelope_stamp(struct envelope *envelope)
{
    char now[CLOCK_RFC3339_SIZE];
    if (envelope->id.len == 0) {
        uuid_make_v7(envelope->id.bytes);
        envelope->id.len = UUID_TEXT_LEN;
    }
    if (envelope->timestamp.len == 0) {
        clock_format_rfc3339(clock_wall_ms(), now);
        keep(&envelope->timestamp, slice_of(now, sizeof now - 1));
    }
}

void envelope_append(struct buf *buf, const struct envelope *envelope, struct slice room,
                     struct slice from)
{
    buf_append_str(buf, "{\"id\":\"");
    if (envelope->id.len != 0)
        buf_append_slice(buf, text_slice(&envelope->id));
    else
        append_new_id(buf);
    buf_append_str(buf, "\",\"type\":\"");
    buf_append_slice(buf, type_names[envelope->type]);
    if (envelope->event.len != 0) {
        buf_append_str(buf, "\",\"event\":\"");
        buf_append_slice(buf, text_slice(&envelope->event));
    }
    buf_append_char(buf, '"');
    if (room.ptr != NULL) {
        buf_append_str(buf, ",\"room\":");
        json_append_string(buf, room);
    }
    buf_append_str(buf, ",\"from\":");
    json_append_string(buf, envelope->from.len != 0 ? text_slice(&envelope->from) : from);
    buf_append_str(buf, ",\"data\":");
    buf_append_slice(buf, envelope->data.ptr != NULL ? envelope->data : slice_str("{}"));
    buf_append_str(buf, ",\"timestamp\":\"");
    if (envelope->timestamp.len != 0)
        buf_append_slice(buf, text_slice(&envelope->timestamp));
    else
        append_now(buf);
    buf_append_str(buf, "\"}");
}

void envelope_begin_server(struct buf *buf, enum envelope_type type, const char *event,
                           struct slice room)
{
    buf_append_str(buf, "{\"id\":\"");
    append_new_id(buf);
    buf_append_str(buf, "\",\"type\":\"");
    buf_append_slice(buf, type_names[type]);
    buf_append_str(buf, "\",\"event\":\"");
    buf_append_str(buf, event);
    buf_append_char(buf, '"');
    if (room.ptr != NULL) {
        buf_append_str(buf, ",\"room\":");
        json_append_string(buf, room);
    }
    buf_append_str(buf, ",\"from\":\"server\",\"data\":");
}

void envelope_end_server(struct buf *buf)
{
    buf_append_str(buf, ",\"timestamp\":\"");
    append_now(buf);
    buf_append_str(buf, "\"}");
}

void envelope_append_reply(struct buf *buf, const struct envelope *taken, struct slice members)
{
    envelope_begin_server(buf, ENVELOPE_SYSTEM, "reply", SLICE_NONE);
    buf_append_char(buf, '{');
    if (taken->ref_given) {
        buf_append_str(buf, "\"ref\":");
        buf_append_slice(buf, taken->raw_ref);
        buf_append_char(buf, ',');
    }
    buf_append_str(buf, "\"status\":\"ok\"");
    buf_append_slice(buf, members);
    buf_append_char(buf, '}');
    envelope_end_server(buf);
}

void envelope_append_error(struct buf *buf, const struct fault *fault,
                           const struct envelope *failed)
{
    envelope_append_error_with(buf, fault, failed, NULL, 0);
}

void envelope_append_error_with(struct buf *buf, const struct fault *fault,
                                const struct envelope *failed, const struct fault_extra *extras,
                                size_t extras_count)
{
    struct fault_extra all[2 + ENVELOPE_EXTRAS_MAX] = {{"id", failed->raw_id},
                                                       {"ref", failed->raw_ref}};
    assert(extras_count <= ENVELOPE_EXTRAS_MAX);
    for (size_t i = 0; i < extras_count; i++)
        all[2 + i] = extras[i];
    envelope_begin_server(buf, ENVELOPE_SYSTEM, "error", SLICE_NONE);
    fault_append_json(buf, fault, all, 2 + extras_count);
    envelope_end_server(buf);
}

/* --- the front of what a pod wrote --- */

/* Whether `text` goes on with this; it is left with what follows. */
static bool goes_on(struct slice *text, struct slice with)
{
    if (!slice_starts_with(*text, with))
        return false;
    *text = slice_skip(*text, with.len);
    return true;
}

/* Up to the closing quote of a string without escapes; `text` is left with what follows it. */
static bool read_plain(struct slice *text, struct slice *out)
{
    const char *quote = memchr(text->ptr, '"', text->len);
    if (quote == NULL)
        return false;
    *out = slice_of(text->ptr, (size_t)(quote - text->ptr));
    *text = slice_skip(*text, out->len + 1);
    return true;
}

/* The same for one that may hold escaped quotes and backslashes; names hold nothing else that
 * json_append_string escapes. */
static bool read_name(struct slice *text, struct envelope_text *out)
{
    size_t at = 0;
    out->len = 0;
    while (at < text->len && text->ptr[at] != '"') {
        at += text->ptr[at] == '\\';
        if (at == text->len || out->len == sizeof out->bytes)
            return false;
        out->bytes[out->len++] = text->ptr[at++];
    }
    if (at == text->len)
        return false;
    *text = slice_skip(*text, at + 1);
    return true;
}

/* Whether the last member, a timestamp of so many bytes, stands at the end. */
static bool ends_with_timestamp(struct slice text, size_t bytes, struct slice *data,
                                struct slice *timestamp)
{
    static const char last[] = ",\"timestamp\":\"";
    const size_t len = sizeof last - 1, behind = len + bytes + 2;
    if (behind > text.len || memcmp(text.ptr + text.len - behind, last, len) != 0)
        return false;
    struct slice rest = slice_skip(text, text.len - behind + len);
    *data = slice_of(text.ptr, text.len - behind);
    return read_plain(&rest, timestamp) && timestamp->len == bytes;
}

/* Up to the timestamp, which is the last member; a client's data cannot pretend to be it. A pod's
 * own has a fixed length; a program's may have another. */
static bool read_data(struct slice text, struct slice *out, struct slice *timestamp)
{
    if (ends_with_timestamp(text, CLOCK_RFC3339_SIZE - 1, out, timestamp))
        return true;
    for (size_t bytes = 0; bytes <= ENVELOPE_TIMESTAMP_MAX; bytes++)
        if (ends_with_timestamp(text, bytes, out, timestamp))
            return true;
    return false;
}

bool envelope_read_front(struct slice json, struct envelope_front *out)
{
    struct envelope_text room;
    out->event = slice_str("");
    if (!goes_on(&json, slice_str("{\"id\":\"")) || !read_plain(&json, &out->id) ||
        !goes_on(&json, slice_str(",\"type\":\"")) || !read_plain(&json, &out->type))
        return false;
    if (goes_on(&json, slice_str(",\"event\":\"")) && !read_plain(&json, &out->event))
        return false;
    if (goes_on(&json, slice_str(",\"room\":\"")) && !read_name(&json, &room))
        return false;
    return uuid_is_valid(out->id) && goes_on(&json, slice_str(",\"from\":\"")) &&
           read_name(&json, &out->from) && goes_on(&json, slice_str(",\"data\":")) &&
           read_data(json, &out->data, &out->timestamp);
}
