/*
 * One pass without memory of its own: a string is told as it stands in the text unless it has
 * escapes, and what is deeper than one level is only checked. A JSON library costs three times as
 * much here, and this is what every message goes through.
 */
#include "core/chat/json_read.h"

#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/json.h"

enum { NEAR_LEVELS = 64 };

struct reading {
    const char *at, *end;
    json_each *each;
    void *arg;
    enum json_result result;
    unsigned depth, depth_max;
    uint64_t near_objects;  /* of the first levels that are open, a bit for each: an object? */
    struct buf far_objects; /* of further ones, an octet for each */
    /* Of the value at depth 1 that is being read: */
    struct json_value value;
    const char *begin;
    bool is_told; /* its name is none, or short enough */
    struct slice name;
    struct buf name_decoded, text_decoded; /* where there were escapes */
};

static bool fail(struct reading *reading, enum json_result result)
{
    reading->result = result;
    return false;
}

static bool malformed(struct reading *reading)
{
    return fail(reading, JSON_MALFORMED);
}

/* --- strings --- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_hex4(const char *at, const char *end)
{
    if (end - at < 4)
        return false;
    for (int i = 0; i < 4; i++)
        if (hex_value(at[i]) < 0)
            return false;
    return true;
}

static unsigned hex4(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (unsigned)hex_value(at[i]);
    return value;
}

/* Octets of the escape at `at`, 0: it is none. */
static size_t escape_len(const char *at, const char *end)
{
    if (end - at < 2)
        return 0;
    if (at[1] == 'u')
        return is_hex4(at + 2, end) ? 6 : 0;
    return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL ? 2 : 0;
}

/* From its opening quote on; `inner` is what stands between the quotes. */
static bool read_string(struct reading *reading, struct slice *inner, bool *has_escapes)
{
    const char *begin = ++reading->at, *at = begin, *end = reading->end;
    *has_escapes = false;
    while ((at = json_skip_plain(at, end)) < end && *at != '"') {
        size_t len = *at == '\\' ? escape_len(at, end) : 0;
        if (len == 0)
            return malformed(reading);
        *has_escapes = true;
        at += len;
    }
    if (at == end)
        return malformed(reading);
    *inner = slice_of(begin, (size_t)(at - begin));
    reading->at = at + 1;
    return true;
}

static bool is_high(unsigned unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(unsigned unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* The low half that the text goes on with, 0: it does not. */
static unsigned low_half(const char *at, const char *end)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return 0;
    unsigned unit = hex4(at + 2);
    return is_low(unit) ? unit : 0;
}

static void append_code_point(struct buf *buf, unsigned code)
{
    char octets[4];
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        octets[i] = (char)(0x80 | (code & 0x3F));
    octets[0] = (char)(leads[len] | code);
    buf_append(buf, octets, len);
}

/* Octets of the escape, which is one. */
static size_t append_unescaped(struct buf *buf, const char *at, const char *end)
{
    static const char meant[] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                 ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    if (at[1] != 'u') {
        buf_append_char(buf, meant[(unsigned char)at[1]]);
        return 2;
    }
    unsigned unit = hex4(at + 2), low = is_high(unit) ? low_half(at + 6, end) : 0;
    if (low != 0)
        append_code_point(buf, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
    else
        append_code_point(buf, is_high(unit) || is_low(unit) ? 0xFFFD : unit);
    return low != 0 ? 12 : 6;
}

static void decode(struct buf *buf, struct slice inner)
{
    const char *at = inner.ptr, *end = inner.ptr + inner.len;
    buf_clear(buf);
    while (at < end) {
        const char *plain = at;
        at = json_skip_plain(at, end);
        buf_append(buf, plain, (size_t)(at - plain));
        if (at < end)
            at += append_unescaped(buf, at, end);
    }
}

/* --- values --- */

static void skip_space(struct reading *reading)
{
    while (reading->at < reading->end && *reading->at <= ' ' &&
           (*reading->at == ' ' || *reading->at == '\n' || *reading->at == '\r' ||
            *reading->at == '\t'))
        reading->at++;
}

static bool skip_digits(struct reading *reading)
{
    const char *begin = reading->at;
    while (reading->at < reading->end && *reading->at >= '0' && *reading->at <= '9')
        reading->at++;
    return reading->at != begin;
}

static bool skip_char(struct reading *reading, char c)
{
    if (reading->at == reading->end || *reading->at != c)
        return false;
    reading->at++;
    return true;
}

/* RFC 8259 6 */
static bool read_number(struct reading *reading)
{
    skip_char(reading, '-');
    if (!skip_char(reading, '0') && !skip_digits(reading))
        return malformed(reading);
    if (skip_char(reading, '.') && !skip_digits(reading))
        return malformed(reading);
    if (skip_char(reading, 'e') || skip_char(reading, 'E')) {
        if (!skip_char(reading, '+'))
            skip_char(reading, '-');
        if (!skip_digits(reading))
            return malformed(reading);
    }
    return true;
}

static bool read_word(struct reading *reading, const char *word, size_t len)
{
    if ((size_t)(reading->end - reading->at) < len || memcmp(reading->at, word, len) != 0)
        return malformed(reading);
    reading->at += len;
    return true;
}

/* A value at depth 1 has ended. */
static bool tell(struct reading *reading)
{
    if (reading->depth != 1 || !reading->is_told)
        return true;
    reading->value.raw = slice_of(reading->begin, (size_t)(reading->at - reading->begin));
    reading->each(reading->arg, reading->name, &reading->value);
    return true;
}

static bool read_text(struct reading *reading)
{
    struct slice inner;
    bool has_escapes;
    if (!read_string(reading, &inner, &has_escapes))
        return false;
    if (reading->depth != 1 || !reading->is_told)
        return true;
    if (has_escapes) {
        decode(&reading->text_decoded, inner);
        if (reading->text_decoded.err != ERR_OK)
            return fail(reading, JSON_NO_MEMORY);
        inner = buf_slice(&reading->text_decoded);
    }
    reading->value.text = inner;
    return tell(reading);
}

/* --- nesting --- */

static bool is_in_object(const struct reading *reading)
{
    unsigned level = reading->depth - 1;
    if (level < NEAR_LEVELS)
        return (reading->near_objects >> level & 1) != 0;
    return reading->far_objects.ptr[level - NEAR_LEVELS] != 0;
}

static bool go_down(struct reading *reading, bool is_object)
{
    unsigned level = reading->depth;
    if (level == reading->depth_max)
        return fail(reading, JSON_TOO_DEEP);
    if (level < NEAR_LEVELS) {
        reading->near_objects &= ~(UINT64_C(1) << level);
        reading->near_objects |= (uint64_t)is_object << level;
    } else {
        buf_append_char(&reading->far_objects, is_object);
        if (reading->far_objects.err != ERR_OK)
            return fail(reading, JSON_NO_MEMORY);
    }
    reading->depth++;
    reading->at++;
    return true;
}

static void go_up(struct reading *reading)
{
    reading->depth--;
    reading->at++;
    if (reading->depth >= NEAR_LEVELS)
        reading->far_objects.len--;
}

/* The name of a member at depth 1. */
static bool take_name(struct reading *reading, struct slice inner, bool has_escapes)
{
    if (has_escapes) {
        decode(&reading->name_decoded, inner);
        if (reading->name_decoded.err == ERR_NOMEM)
            return fail(reading, JSON_NO_MEMORY);
        reading->is_told = reading->name_decoded.err == ERR_OK;
        inner = buf_slice(&reading->name_decoded);
    } else {
        reading->is_told = inner.len <= JSON_NAME_MAX;
    }
    reading->name = inner;
    return true;
}

/* A member's name and the colon behind it. */
static bool read_name(struct reading *reading)
{
    struct slice inner;
    bool has_escapes;
    skip_space(reading);
    if (reading->at == reading->end || *reading->at != '"')
        return malformed(reading);
    if (!read_string(reading, &inner, &has_escapes) ||
        (reading->depth == 1 && !take_name(reading, inner, has_escapes)))
        return false;
    skip_space(reading);
    return skip_char(reading, ':') || malformed(reading);
}

/* What stands at the beginning of an object or array that is not empty is left to the caller. */
static bool begin_nested(struct reading *reading, bool is_object, bool *is_value_due)
{
    if (!go_down(reading, is_object))
        return false;
    if (reading->depth == 1) {
        reading->name = SLICE_NONE;
        reading->is_told = true;
    }
    skip_space(reading);
    *is_value_due = reading->at < reading->end && *reading->at != (is_object ? '}' : ']');
    return !*is_value_due || !is_object || read_name(reading);
}

static enum json_kind kind_of(char first)
{
    switch (first) {
    case '{':
        return JSON_IS_OBJECT;
    case '[':
        return JSON_IS_ARRAY;
    case '"':
        return JSON_IS_STRING;
    case 't':
    case 'f':
        return JSON_IS_BOOLEAN;
    case 'n':
        return JSON_IS_NULL;
    default:
        return JSON_IS_NUMBER;
    }
}

/* A whole value, or the beginning of an object or array. */
static bool read_value(struct reading *reading, bool *is_value_due)
{
    skip_space(reading);
    if (reading->at == reading->end)
        return malformed(reading);
    char first = *reading->at;
    enum json_kind kind = kind_of(first);
    if (reading->depth <= 1) {
        reading->begin = reading->at;
        reading->value = (struct json_value){.kind = kind};
    }
    *is_value_due = false;
    switch (kind) {
    case JSON_IS_OBJECT:
    case JSON_IS_ARRAY:
        return begin_nested(reading, kind == JSON_IS_OBJECT, is_value_due);
    case JSON_IS_STRING:
        return read_text(reading);
    case JSON_IS_BOOLEAN:
        return (first == 't' ? read_word(reading, "true", 4) : read_word(reading, "false", 5)) &&
               tell(reading);
    case JSON_IS_NULL:
        return read_word(reading, "null", 4) && tell(reading);
    default:
        return read_number(reading) && tell(reading);
    }
}

/* Behind a value within an object or array: a comma, and a further value is due, or the end. */
static bool go_on(struct reading *reading, bool *is_value_due)
{
    skip_space(reading);
    if (reading->at == reading->end)
        return malformed(reading);
    bool is_object = is_in_object(reading);
    if (*reading->at == ',') {
        reading->at++;
        *is_value_due = true;
        return !is_object || read_name(reading);
    }
    if (*reading->at != (is_object ? '}' : ']'))
        return malformed(reading);
    go_up(reading);
    return tell(reading);
}

static bool read_all(struct reading *reading)
{
    bool is_value_due = true;
    while (is_value_due || reading->depth != 0)
        if (!(is_value_due ? read_value : go_on)(reading, &is_value_due))
            return false;
    skip_space(reading);
    return reading->at == reading->end || malformed(reading);
}

enum json_result json_read(struct slice text, unsigned depth_max, json_each *each, void *arg,
                           enum json_kind *kind)
{
    struct reading reading = {.at = text.ptr,
                              .end = text.ptr + text.len,
                              .each = each,
                              .arg = arg,
                              .depth_max = depth_max};
    buf_init(&reading.far_objects, text.len);
    buf_init(&reading.name_decoded, JSON_NAME_MAX);
    buf_init(&reading.text_decoded, text.len);
    skip_space(&reading);
    *kind = reading.at < reading.end ? kind_of(*reading.at) : JSON_IS_NULL;
    enum json_result result = read_all(&reading) ? JSON_OK : reading.result;
    buf_fini(&reading.far_objects);
    buf_fini(&reading.name_decoded);
    buf_fini(&reading.text_decoded);
    return result;
}

/* --- surrogates --- */

/* The text is valid JSON: backslashes stand in strings only, and \u is followed by four digits. */
bool json_has_lone_surrogate(struct slice json)
{
    const char *at = json.ptr, *end = json.ptr + json.len;
    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        if (at[1] != 'u') {
            at += 2;
            continue;
        }
        unsigned unit = hex4(at + 2);
        at += 6;
        if (is_low(unit) || (is_high(unit) && low_half(at, end) == 0))
            return true;
        at += is_high(unit) ? 6 : 0;
    }
    return false;
}
