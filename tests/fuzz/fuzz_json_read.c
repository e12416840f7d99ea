/*
 * Any text read one level deep, beside jansson: both take it or both do not, and each member or
 * element has the very bytes that jansson reads as the same value. What only jansson refuses is let
 * pass. The lists of the HTTP API and of other pods are read from it, too.
 */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "core/base/utf8.h"
#include "core/chat/json_read.h"
#include "handlers/room_list.h"
#include "handlers/targets.h"

enum { DEPTH = 64, FLAGS = JSON_DECODE_ANY | JSON_ALLOW_NUL };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct telling {
    struct slice text;
    json_t *json; /* what jansson made of it; NULL: it refuses what is JSON */
    size_t count;
};

static json_t *load(struct slice text, json_error_t *error)
{
    return json_loadb(text.ptr, text.len, FLAGS, error);
}

/* Numbers over a double's range, NUL in a key and half surrogates are JSON, but not for jansson. */
static bool is_foible(const json_error_t *error, struct slice text)
{
    enum json_error_code code = json_error_code(error);
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
           code == json_error_stack_overflow || json_has_lone_surrogate(text);
}

static bool is_of_kind(const json_t *json, enum json_kind kind)
{
    switch (kind) {
    case JSON_IS_NULL:
        return json_is_null(json);
    case JSON_IS_BOOLEAN:
        return json_is_boolean(json);
    case JSON_IS_NUMBER:
        return json_is_number(json);
    case JSON_IS_STRING:
        return json_is_string(json);
    case JSON_IS_OBJECT:
        return json_is_object(json);
    default:
        return json_is_array(json);
    }
}

static void compare_value(void *arg, struct slice name, const struct json_value *value)
{
    struct telling *telling = arg;
    json_error_t error;
    size_t index = telling->count++;
    assert(value->raw.ptr >= telling->text.ptr);
    assert(value->raw.ptr + value->raw.len <= telling->text.ptr + telling->text.len);
    if (telling->json == NULL)
        return;
    json_t *alone = load(value->raw, &error);
    assert(alone != NULL && is_of_kind(alone, value->kind));
    if (name.ptr == NULL)
        assert(json_equal(alone, json_array_get(telling->json, index)));
    if (value->kind == JSON_IS_STRING)
        assert(slice_equals(value->text,
                            slice_of(json_string_value(alone), json_string_length(alone))));
    json_decref(alone);
}

static void read_lists(struct slice text)
{
    struct targets targets;
    struct room_list list;
    targets_init(&targets);
    (void)targets_add_rooms(&targets, text);
    (void)targets_add_users(&targets, text);
    for (size_t i = 0; i < targets.count; i++)
        assert(room_check_name(targets_at(&targets, i)).code == FAULT_NONE);
    targets_fini(&targets);
    room_list_init(&list);
    enum err err = room_list_add_told(&list, text);
    assert(err == ERR_OK || err == ERR_INVALID);
    room_list_fini(&list);
}

/* Of other texts only the kind matters. */
static bool is_object_or_array(struct slice text)
{
    while (text.len != 0 && memchr(" \t\r\n", *text.ptr, 4) != NULL)
        text = slice_skip(text, 1);
    return text.len != 0 && (*text.ptr == '{' || *text.ptr == '[');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct telling telling = {.text = text};
    json_error_t error;
    enum json_kind kind;
    /* jansson takes NUL for white space at some places. */
    if (!utf8_is_valid(data, size) || !is_object_or_array(text) || memchr(data, 0, size) != NULL)
        return 0;
    telling.json = load(text, &error);
    enum json_result result = json_read(text, DEPTH, compare_value, &telling, &kind);
    if (result == JSON_OK && telling.json == NULL)
        assert(is_foible(&error, text));
    if (result == JSON_OK && telling.json != NULL)
        assert(is_of_kind(telling.json, kind));
    assert(result != JSON_MALFORMED || telling.json == NULL);
    if (result == JSON_OK && json_is_array(telling.json))
        assert(telling.count == json_array_size(telling.json));
    json_decref(telling.json);
    read_lists(text);
    return 0;
}
