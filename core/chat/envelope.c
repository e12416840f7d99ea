/*
 * yajl reads, and tells by callbacks what it saw; where a value ends is where it stands then. Of
 * its own it lets deep nesting, lone surrogates, and vertical tabs and form feeds between values
 * through, so all of these are looked for here.
 */
#include "core/chat/envelope.h"

#include <stdint.h>
#include <yajl/yajl_parse.h>

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/json.h"
#include "core/base/utf8.h"

static const char *const type_names[ENVELOPE_TYPES] = {
    [ENVELOPE_CHAT] = "chat",
    [ENVELOPE_PRESENCE] = "presence",
    [ENVELOPE_NOTIFICATION] = "notification",
    [ENVELOPE_SYSTEM] = "system",
};

/* A value of a member of the envelope, as yajl told it. */
struct value {
    enum { VALUE_NULL, VALUE_STRING, VALUE_OTHER } kind;
    struct slice text; /* of a string, decoded; good for the callback */
    struct slice raw;  /* as it came */
};

struct reading {
    yajl_handle yajl;
    struct slice json;
    enum envelope_source source;
    struct envelope *out;
    struct fault fault; /* the first one */
    unsigned depth;
    const struct member_rule *rule; /* of the member whose value is due; NULL: no such */
    const char *value_at;           /* where that value begins */
    bool is_object;
    bool too_deep;
};

struct member_rule {
    const char *name;
    struct fault (*take)(struct reading *reading, const struct value *value);
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

/* --- surrogates --- */

static unsigned hex4(const char *p)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        value = value << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/*
 * Whether a \u escape names half of a pair without the other half (RFC 8259 8.2). The text is valid
 * JSON: backslashes stand in strings only, and \u is followed by four digits.
 */
static bool has_lone_surrogate(struct slice json)
{
    const char *p = json.ptr, *end = json.ptr + json.len;
    while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        if (p[1] != 'u') {
            p += 2;
            continue;
        }
        unsigned unit = hex4(p + 2);
        p += 6;
        if (unit < 0xD800 || unit > 0xDFFF)
            continue;
        if (unit > 0xDBFF || end - p < 6 || p[0] != '\\' || p[1] != 'u')
            return true;
        unsigned low = hex4(p + 2);
        if (low < 0xDC00 || low > 0xDFFF)
            return true;
        p += 6;
    }
    return false;
}

/* --- one function per member --- */

/* What is repeated in an error must not be the same fault again. */
static struct slice repeatable(struct slice raw)
{
    return raw.len <= ENVELOPE_REPEAT_MAX && !has_lone_surrogate(raw) ? raw : SLICE_NONE;
}

static struct fault take_id(struct reading *reading, const struct value *value)
{
    reading->out->id.len = 0;
    reading->out->raw_id = repeatable(value->raw);
    if (value->kind != VALUE_STRING || !uuid_is_valid(value->text))
        return invalid("id must be a UUID", "id");
    keep(&reading->out->id, value->text);
    return no_fault;
}

static struct fault take_ref(struct reading *reading, const struct value *value)
{
    struct envelope *out = reading->out;
    out->raw_ref = repeatable(value->raw);
    out->ref_given =
        value->kind == VALUE_STRING && value->text.len >= 1 && value->text.len <= ENVELOPE_REF_MAX;
    if (!out->ref_given)
        return invalid("ref must be a string of 1 to 64 bytes", "ref");
    /* Escapes may have made it long, but the reply needs it. */
    out->raw_ref = has_lone_surrogate(value->raw) ? SLICE_NONE : value->raw;
    return no_fault;
}

static struct fault take_type(struct reading *reading, const struct value *value)
{
    reading->out->type = ENVELOPE_CHAT;
    reading->out->type_given = true;
    for (int type = 0; value->kind == VALUE_STRING && type < ENVELOPE_TYPES; type++) {
        if (slice_equals_str(value->text, type_names[type])) {
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

static struct fault take_event(struct reading *reading, const struct value *value)
{
    reading->out->event.len = 0;
    if (value->kind != VALUE_STRING || !(is_event(value->text) || is_ping(value->text)))
        return invalid("event must have the form entity:action", "event");
    keep(&reading->out->event, value->text);
    return no_fault;
}

static struct fault take_room(struct reading *reading, const struct value *value)
{
    struct envelope *out = reading->out;
    out->target = ENVELOPE_GLOBAL;
    if (value->kind == VALUE_NULL || (value->kind == VALUE_STRING && value->text.len == 0))
        return no_fault;
    if (value->kind != VALUE_STRING)
        return invalid("room must be a string or null", "room");
    struct fault fault = room_check_name(value->text);
    if (fault.code != FAULT_NONE)
        return fault;
    out->target = ENVELOPE_ROOM;
    keep(&out->room, value->text);
    return no_fault;
}

static struct fault take_from(struct reading *reading, const struct value *value)
{
    reading->out->from.len = 0;
    if (reading->source == ENVELOPE_OF_PROGRAM && value->kind == VALUE_STRING &&
        value->text.len != 0 && value->text.len <= ENVELOPE_FROM_MAX &&
        !utf8_has_control(value->text.ptr, value->text.len))
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

static struct fault take_timestamp(struct reading *reading, const struct value *value)
{
    reading->out->timestamp.len = 0;
    if (reading->source == ENVELOPE_OF_PROGRAM && value->kind == VALUE_STRING &&
        is_timestamp(value->text))
        keep(&reading->out->timestamp, value->text);
    return no_fault;
}

static struct fault take_data(struct reading *reading, const struct value *value)
{
    reading->out->data = value->raw;
    return no_fault;
}

static const struct member_rule member_rules[] = {
    {"id", take_id},     {"ref", take_ref},   {"type", take_type}, {"event", take_event},
    {"room", take_room}, {"from", take_from}, {"data", take_data}, {"timestamp", take_timestamp},
};

/* --- what yajl tells --- */

static struct slice raw_value(const struct reading *reading)
{
    const char *end = reading->json.ptr + yajl_get_bytes_consumed(reading->yajl);
    return slice_of(reading->value_at, (size_t)(end - reading->value_at));
}

static void take(struct reading *reading, struct value value)
{
    if (reading->depth != 1 || reading->rule == NULL)
        return;
    value.raw = raw_value(reading);
    struct fault fault = reading->rule->take(reading, &value);
    bool counts = reading->source == ENVELOPE_OF_CLIENT && reading->fault.code == FAULT_NONE;
    if (fault.code != FAULT_NONE && counts)
        reading->fault = fault;
    reading->rule = NULL;
}

static int on_null(void *arg)
{
    take(arg, (struct value){.kind = VALUE_NULL});
    return 1;
}

static int on_boolean(void *arg, int value)
{
    (void)value;
    take(arg, (struct value){.kind = VALUE_OTHER});
    return 1;
}

static int on_number(void *arg, const char *text, size_t len)
{
    (void)text;
    (void)len;
    take(arg, (struct value){.kind = VALUE_OTHER});
    return 1;
}

static int on_string(void *arg, const unsigned char *text, size_t len)
{
    take(arg, (struct value){.kind = VALUE_STRING, .text = slice_of(text, len)});
    return 1;
}

static int go_down(struct reading *reading)
{
    reading->too_deep = ++reading->depth > ENVELOPE_DEPTH_MAX;
    return !reading->too_deep;
}

static int go_up(struct reading *reading)
{
    reading->depth--;
    take(reading, (struct value){.kind = VALUE_OTHER});
    return 1;
}

static int on_start_map(void *arg)
{
    struct reading *reading = arg;
    if (reading->depth == 0)
        reading->is_object = true;
    return go_down(reading);
}

static int on_start_array(void *arg)
{
    return go_down(arg);
}

static int on_end(void *arg)
{
    return go_up(arg);
}

static int on_key(void *arg, const unsigned char *key, size_t len)
{
    struct reading *reading = arg;
    if (reading->depth != 1)
        return 1;
    reading->rule = NULL;
    for (size_t i = 0; i < sizeof member_rules / sizeof *member_rules; i++)
        if (slice_equals_str(slice_of(key, len), member_rules[i].name))
            reading->rule = &member_rules[i];
    /* Between the key and its value stand white space and a colon. */
    const char *at = reading->json.ptr + yajl_get_bytes_consumed(reading->yajl);
    const char *end = reading->json.ptr + reading->json.len;
    while (at < end && memchr(" \t\r\n:", *at, 5) != NULL)
        at++;
    reading->value_at = at;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end,
};

/* --- reading --- */

/* yajl takes both for white space, RFC 8259 2 takes neither; within strings both refuse them. */
static bool has_foreign_space(struct slice json)
{
    return json.len != 0 &&
           (memchr(json.ptr, '\v', json.len) != NULL || memchr(json.ptr, '\f', json.len) != NULL);
}

static struct fault read_all(struct reading *reading)
{
    if (has_foreign_space(reading->json))
        return invalid("a message must be valid JSON", NULL);
    const unsigned char *text = (const unsigned char *)reading->json.ptr;
    yajl_status status = yajl_parse(reading->yajl, text, reading->json.len);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(reading->yajl);
    if (reading->too_deep)
        return invalid("a message must not be nested deeper than 64 levels", NULL);
    if (status != yajl_status_ok)
        return invalid("a message must be valid JSON", NULL);
    if (!reading->is_object)
        return invalid("a message must be a JSON object", NULL);
    if (has_lone_surrogate(reading->json))
        return invalid("a string must not hold half of a surrogate pair", NULL);
    return reading->fault;
}

enum err envelope_parse(struct slice json, enum envelope_source source, struct envelope *out,
                        struct fault *fault)
{
    struct reading reading = {.json = json, .source = source, .out = out};
    out->type = ENVELOPE_CHAT;
    out->target = ENVELOPE_OWN_ROOM;
    out->type_given = out->ref_given = false;
    out->id.len = out->event.len = out->room.len = out->from.len = out->timestamp.len = 0;
    out->data = out->raw_id = out->raw_ref = SLICE_NONE;
    reading.yajl = yajl_alloc(&callbacks, NULL, &reading);
    if (reading.yajl == NULL) {
        *fault = (struct fault){.code = FAULT_INTERNAL, .message = "out of memory"};
        return ERR_NOMEM;
    }
    yajl_config(reading.yajl, yajl_dont_validate_strings, 1);
    *fault = read_all(&reading);
    yajl_free(reading.yajl);
    return fault->code == FAULT_NONE ? ERR_OK : ERR_INVALID;
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
    buf_append_str(buf, type_names[envelope->type]);
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
    buf_append_str(buf, type_names[type]);
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
    const struct fault_extra extras[] = {{"id", failed->raw_id}, {"ref", failed->raw_ref}};
    envelope_begin_server(buf, ENVELOPE_SYSTEM, "error", SLICE_NONE);
    fault_append_json(buf, fault, extras, sizeof extras / sizeof *extras);
    envelope_end_server(buf);
}

/* --- the front of what a pod wrote --- */

/* Whether `text` goes on with this; it is left with what follows. */
static bool goes_on(struct slice *text, const char *with)
{
    if (!slice_starts_with(*text, slice_str(with)))
        return false;
    *text = slice_skip(*text, strlen(with));
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

/* Up to the timestamp, which is the last member; a client's data cannot pretend to be it. */
static bool read_data(const struct slice *text, struct slice *out)
{
    static const char last[] = ",\"timestamp\":\"";
    size_t len = sizeof last - 1;
    for (size_t behind = len; behind <= len + ENVELOPE_TIMESTAMP_MAX + 2; behind++) {
        if (behind > text->len)
            return false;
        *out = slice_of(text->ptr, text->len - behind);
        if (memcmp(out->ptr + out->len, last, len) == 0)
            return true;
    }
    return false;
}

bool envelope_read_front(struct slice json, struct envelope_front *out)
{
    struct envelope_text room;
    out->event = slice_str("");
    if (!goes_on(&json, "{\"id\":\"") || !read_plain(&json, &out->id) ||
        !goes_on(&json, ",\"type\":\"") || !read_plain(&json, &out->type))
        return false;
    if (goes_on(&json, ",\"event\":\"") && !read_plain(&json, &out->event))
        return false;
    if (goes_on(&json, ",\"room\":\"") && !read_name(&json, &room))
        return false;
    return uuid_is_valid(out->id) && goes_on(&json, ",\"from\":\"") &&
           read_name(&json, &out->from) && goes_on(&json, ",\"data\":") &&
           read_data(&json, &out->data);
}
