/*
 * yajl reads, and tells by callbacks what it saw; where a value ends is where it stands then, and
 * where it begins is behind the name, the bracket or the comma in front of it. Of its own it lets
 * deep nesting through, vertical tabs and form feeds between values, and a string without an end
 * behind the last one.
 */
#include "core/chat/json_read.h"

#include <yajl/yajl_parse.h>

#include "core/chat/json_memory.h"

struct reading {
    struct json_memory *memory;
    yajl_handle yajl;
    struct slice text;
    unsigned depth_max;
    json_each *each;
    void *arg;
    unsigned depth;
    enum json_kind outer;
    enum json_kind kinds[2]; /* of what is open at depth 1 and 2 */
    const char *at;          /* behind what came last at depth 1 */
    bool too_deep;
    bool is_named; /* the name of the value that is due fits */
    size_t name_len;
    char name[JSON_NAME_MAX];
};

static const char *position(const struct reading *reading)
{
    return reading->text.ptr + yajl_get_bytes_consumed(reading->yajl);
}

/* Between what came before and the value stand white space and a colon or a comma. */
static struct slice raw_value(const struct reading *reading, const char *end)
{
    const char *begin = reading->at;
    while (begin < end && memchr(" \t\r\n:,", *begin, 6) != NULL)
        begin++;
    return slice_of(begin, (size_t)(end - begin));
}

static int take(struct reading *reading, enum json_kind kind, struct slice text)
{
    if (reading->depth == 0) {
        reading->outer = kind;
        reading->at = position(reading);
    }
    if (reading->depth != 1)
        return 1;
    const char *end = position(reading);
    struct json_value value = {.kind = kind, .text = text, .raw = raw_value(reading, end)};
    reading->at = end;
    if (reading->outer == JSON_IS_ARRAY)
        reading->each(reading->arg, SLICE_NONE, &value);
    else if (reading->is_named)
        reading->each(reading->arg, slice_of(reading->name, reading->name_len), &value);
    return 1;
}

static int on_null(void *arg)
{
    return take(arg, JSON_IS_NULL, SLICE_NONE);
}

static int on_boolean(void *arg, int value)
{
    (void)value;
    return take(arg, JSON_IS_BOOLEAN, SLICE_NONE);
}

static int on_number(void *arg, const char *text, size_t len)
{
    (void)text;
    (void)len;
    return take(arg, JSON_IS_NUMBER, SLICE_NONE);
}

static int on_string(void *arg, const unsigned char *text, size_t len)
{
    return take(arg, JSON_IS_STRING, slice_of(text, len));
}

static int go_down(struct reading *reading, enum json_kind kind)
{
    if (reading->depth < 2)
        reading->kinds[reading->depth] = kind;
    if (reading->depth == 0) {
        reading->outer = kind;
        reading->at = position(reading);
    }
    reading->too_deep = ++reading->depth > reading->depth_max;
    return !reading->too_deep;
}

static int on_start_map(void *arg)
{
    return go_down(arg, JSON_IS_OBJECT);
}

static int on_start_array(void *arg)
{
    return go_down(arg, JSON_IS_ARRAY);
}

static int on_end(void *arg)
{
    struct reading *reading = arg;
    reading->depth--;
    return take(reading, reading->kinds[reading->depth < 2 ? reading->depth : 1], SLICE_NONE);
}

static int on_key(void *arg, const unsigned char *key, size_t len)
{
    struct reading *reading = arg;
    if (reading->depth != 1)
        return 1;
    reading->at = position(reading);
    reading->is_named = len <= JSON_NAME_MAX;
    reading->name_len = reading->is_named ? len : 0;
    if (len != 0)
        memcpy(reading->name, key, reading->name_len);
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

/* yajl takes both for white space, RFC 8259 2 takes neither; within strings both refuse them. */
static bool has_foreign_space(struct slice json)
{
    return json.len != 0 &&
           (memchr(json.ptr, '\v', json.len) != NULL || memchr(json.ptr, '\f', json.len) != NULL);
}

/* Whether nothing but white space stands behind the object or array. */
static bool is_all(const struct reading *reading)
{
    const char *at = reading->at, *end = reading->text.ptr + reading->text.len;
    if (reading->outer != JSON_IS_OBJECT && reading->outer != JSON_IS_ARRAY)
        return true;
    while (at < end && memchr(" \t\r\n", *at, 4) != NULL)
        at++;
    return at == end;
}

/* False without memory. */
static bool run_yajl(struct reading *reading, bool *is_json)
{
    yajl_alloc_funcs funcs = json_memory_funcs(reading->memory);
    if (setjmp(reading->memory->lack) != 0)
        return false;
    reading->yajl = yajl_alloc(&callbacks, &funcs, reading);
    yajl_config(reading->yajl, yajl_dont_validate_strings, 1);
    const unsigned char *text = (const unsigned char *)reading->text.ptr;
    *is_json = yajl_parse(reading->yajl, text, reading->text.len) == yajl_status_ok &&
               yajl_complete_parse(reading->yajl) == yajl_status_ok;
    return true;
}

enum json_result json_read(struct slice text, unsigned depth_max, json_each *each, void *arg,
                           enum json_kind *kind)
{
    struct json_memory memory; /* by itself: most of it is never touched */
    struct reading reading = {
        .memory = &memory, .text = text, .depth_max = depth_max, .each = each, .arg = arg};
    bool is_json = false;
    *kind = JSON_IS_NULL;
    if (has_foreign_space(text))
        return JSON_MALFORMED;
    json_memory_init(&memory);
    bool has_memory = run_yajl(&reading, &is_json);
    json_memory_fini(&memory);
    *kind = reading.outer;
    if (!has_memory)
        return JSON_NO_MEMORY;
    if (reading.too_deep)
        return JSON_TOO_DEEP;
    return is_json && is_all(&reading) ? JSON_OK : JSON_MALFORMED;
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

/* The text is valid JSON: backslashes stand in strings only, and \u is followed by four digits. */
bool json_has_lone_surrogate(struct slice json)
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
