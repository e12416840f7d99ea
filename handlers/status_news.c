#include "handlers/status_news.h"

#include "core/base/json.h"
#include "core/base/uuid.h"
#include "core/chat/envelope.h"
#include "core/chat/fields.h"
#include "core/chat/window.h"

struct sifting {
    struct window *window;
    struct window_mark mark; /* all but the id */
    struct buf *left;
    size_t ids, news;
};

static bool sift(void *arg, const struct field *element)
{
    struct sifting *sifting = arg;
    struct window_mark mark = sifting->mark;
    mark.id = field_text(element);
    if (element->kind != FIELD_STRING || !uuid_is_valid(mark.id))
        return false;
    sifting->ids++;
    if (!window_hear_mark(sifting->window, &mark))
        return true;
    if (sifting->news++ != 0)
        buf_append_char(sifting->left, ',');
    json_append_string(sifting->left, mark.id);
    return true;
}

static struct slice optional_text(const struct field *field)
{
    return field->kind == FIELD_STRING ? field_text(field) : SLICE_NONE;
}

/* With what stands around the ids as it was. */
static struct slice sift_ids(struct sifting *sifting, struct slice json, struct slice ids)
{
    struct buf *left = sifting->left;
    size_t front = (size_t)(ids.ptr - json.ptr);
    buf_clear(left);
    buf_append(left, json.ptr, front);
    buf_append_char(left, '[');
    if (fields_read_array(ids, sift, sifting) != ERR_OK || sifting->news == sifting->ids)
        return json;
    buf_append_char(left, ']');
    buf_append_slice(left, slice_skip(json, front + ids.len));
    if (left->err != ERR_OK)
        return json;
    return sifting->news != 0 ? buf_slice(left) : SLICE_NONE;
}

struct slice status_news(struct window *window, struct slice json, struct buf *scratch)
{
    struct envelope_front front;
    struct field fields[] = {
        {.name = "ids"}, {.name = "status"}, {.name = "user"}, {.name = "room"}};
    const struct field *ids = &fields[0], *status = &fields[1], *user = &fields[2];
    if (!envelope_read_front(json, &front) || !slice_equals_str(front.event, "message:status") ||
        fields_read(front.data, fields, 4) != ERR_OK || ids->kind != FIELD_ARRAY ||
        user->kind != FIELD_STRING)
        return json;
    struct sifting sifting = {
        .window = window,
        .mark = {.room = optional_text(&fields[3]),
                 .user = field_text(user),
                 .read = slice_equals_str(optional_text(status), "read")},
        .left = scratch,
    };
    return sift_ids(&sifting, json, ids->raw);
}
