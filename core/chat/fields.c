/*
 * yajl tells by callbacks what it saw. A value of the outermost level begins where its key's colon
 * (or the array's last comma) ends, and ends where yajl stands when it tells of it.
 */
#include "core/chat/fields.h"

#include <stdint.h>
#include <string.h>
#include <yajl/yajl_parse.h>

struct reader {
    yajl_handle yajl;
    struct slice json;
    unsigned depth;
    bool is_array; /* what is read */
    bool refused;
    size_t value_at;
    struct field *due; /* of the member whose value is due; NULL: nobody wants it */
    struct field *fields;
    size_t fields_count;
    struct field element;
    bool (*each)(void *arg, const struct field *element);
    void *arg;
};

static size_t consumed(const struct reader *reader)
{
    return yajl_get_bytes_consumed(reader->yajl);
}

static size_t skip_to_value(const struct reader *reader, size_t at)
{
    while (at < reader->json.len && memchr(" \t\r\n:,", reader->json.ptr[at], 6) != NULL)
        at++;
    return at;
}

/* A value of the outermost level is over. */
static int take(struct reader *reader, enum field_kind kind, bool truth, struct slice text)
{
    struct field *field = reader->due;
    if (reader->depth != 1)
        return 1;
    if (reader->is_array) {
        field = &reader->element;
        reader->value_at = skip_to_value(reader, reader->value_at);
    }
    if (field == NULL)
        return 1;
    field->kind = kind;
    field->truth = truth;
    field->raw = slice_of(reader->json.ptr + reader->value_at, consumed(reader) - reader->value_at);
    field->text_len = text.len;
    if (text.len != 0)
        memcpy(field->text, text.ptr, text.len < FIELD_TEXT_MAX ? text.len : FIELD_TEXT_MAX);
    reader->due = NULL;
    reader->value_at = consumed(reader);
    if (reader->is_array && !reader->each(reader->arg, field))
        reader->refused = true;
    return !reader->refused;
}

static int on_null(void *arg)
{
    return take(arg, FIELD_NULL, false, SLICE_NONE);
}

static int on_boolean(void *arg, int value)
{
    return take(arg, FIELD_BOOL, value != 0, SLICE_NONE);
}

static int on_number(void *arg, const char *text, size_t len)
{
    (void)text;
    (void)len;
    return take(arg, FIELD_NUMBER, false, SLICE_NONE);
}

static int on_string(void *arg, const unsigned char *text, size_t len)
{
    return take(arg, FIELD_STRING, false, slice_of(text, len));
}

static int begin(struct reader *reader, bool is_array)
{
    if (reader->depth == 0 && is_array != reader->is_array)
        reader->refused = true;
    if (reader->depth++ == 0)
        reader->value_at = consumed(reader);
    return !reader->refused;
}

static int on_start_map(void *arg)
{
    return begin(arg, false);
}

static int on_start_array(void *arg)
{
    return begin(arg, true);
}

static int end(struct reader *reader, enum field_kind kind)
{
    reader->depth--;
    return take(reader, kind, false, SLICE_NONE);
}

static int on_end_map(void *arg)
{
    return end(arg, FIELD_OBJECT);
}

static int on_end_array(void *arg)
{
    return end(arg, FIELD_ARRAY);
}

static int on_key(void *arg, const unsigned char *key, size_t len)
{
    struct reader *reader = arg;
    if (reader->depth != 1)
        return 1;
    reader->due = NULL;
    for (size_t i = 0; i < reader->fields_count; i++)
        if (slice_equals_str(slice_of(key, len), reader->fields[i].name))
            reader->due = &reader->fields[i];
    reader->value_at = skip_to_value(reader, consumed(reader));
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end_map,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end_array,
};

static enum err read_all(struct reader *reader)
{
    reader->yajl = yajl_alloc(&callbacks, NULL, reader);
    if (reader->yajl == NULL)
        return ERR_NOMEM;
    yajl_config(reader->yajl, yajl_dont_validate_strings, 1);
    const unsigned char *text = (const unsigned char *)reader->json.ptr;
    yajl_status status = yajl_parse(reader->yajl, text, reader->json.len);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(reader->yajl);
    yajl_free(reader->yajl);
    return status == yajl_status_ok && !reader->refused ? ERR_OK : ERR_INVALID;
}

enum err fields_read(struct slice json, struct field *fields, size_t count)
{
    struct reader reader = {.json = json, .fields = fields, .fields_count = count};
    for (size_t i = 0; i < count; i++)
        fields[i].kind = FIELD_ABSENT;
    if (json.len == 0 || json.ptr[0] != '{')
        return ERR_INVALID;
    return read_all(&reader);
}

enum err fields_read_array(struct slice json, bool (*each)(void *arg, const struct field *element),
                           void *arg)
{
    struct reader reader = {.json = json, .is_array = true, .each = each, .arg = arg};
    if (json.len == 0 || json.ptr[0] != '[')
        return ERR_INVALID;
    return read_all(&reader);
}
