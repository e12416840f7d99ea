#include "core/chat/fields.h"

#include <stdint.h>
#include <string.h>

#include "core/chat/json_read.h"

struct reader {
    struct field *fields;
    size_t fields_count;
    struct field element;
    bool (*each)(void *arg, const struct field *element);
    void *arg;
    bool refused;
};

static void fill(struct field *field, const struct json_value *value)
{
    static const enum field_kind kinds[] = {
        [JSON_IS_NULL] = FIELD_NULL,     [JSON_IS_BOOLEAN] = FIELD_BOOL,
        [JSON_IS_NUMBER] = FIELD_NUMBER, [JSON_IS_STRING] = FIELD_STRING,
        [JSON_IS_OBJECT] = FIELD_OBJECT, [JSON_IS_ARRAY] = FIELD_ARRAY,
    };
    field->kind = kinds[value->kind];
    field->truth = value->kind == JSON_IS_BOOLEAN && value->raw.ptr[0] == 't';
    field->raw = value->raw;
    field->text_len = value->text.len;
    if (value->text.len != 0)
        memcpy(field->text, value->text.ptr,
               value->text.len < FIELD_TEXT_MAX ? value->text.len : FIELD_TEXT_MAX);
}

static void take_member(void *arg, struct slice name, const struct json_value *value)
{
    struct reader *reader = arg;
    for (size_t i = 0; i < reader->fields_count; i++)
        if (slice_equals_str(name, reader->fields[i].name))
            fill(&reader->fields[i], value);
}

static void take_element(void *arg, struct slice name, const struct json_value *value)
{
    struct reader *reader = arg;
    (void)name;
    if (reader->refused)
        return;
    fill(&reader->element, value);
    reader->refused = !reader->each(reader->arg, &reader->element);
}

/* How deep it may be was judged with the whole message. */
static enum err read_all(struct slice json, json_each *each, struct reader *reader)
{
    enum json_kind kind;
    switch (json_read(json, UINT32_MAX, each, reader, &kind)) {
    case JSON_OK:
        return reader->refused ? ERR_INVALID : ERR_OK;
    case JSON_NO_MEMORY:
        return ERR_NOMEM;
    default:
        return ERR_INVALID;
    }
}

enum err fields_read(struct slice json, struct field *fields, size_t count)
{
    struct reader reader = {.fields = fields, .fields_count = count};
    for (size_t i = 0; i < count; i++)
        fields[i].kind = FIELD_ABSENT;
    if (json.len == 0 || json.ptr[0] != '{')
        return ERR_INVALID;
    return read_all(json, take_member, &reader);
}

enum err fields_read_array(struct slice json, bool (*each)(void *arg, const struct field *element),
                           void *arg)
{
    struct reader reader = {.each = each, .arg = arg};
    if (json.len == 0 || json.ptr[0] != '[')
        return ERR_INVALID;
    return read_all(json, take_element, &reader);
}
