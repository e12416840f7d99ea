#include "handlers/room_list.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/chat/json_read.h"

enum { ROWS_AT_ONCE = 64, DIGITS_MAX = 9 };

void room_list_init(struct room_list *list)
{
    *list = (struct room_list){.rows = NULL};
}

void room_list_fini(struct room_list *list)
{
    mem_free(list->rows);
    room_list_init(list);
}

static enum err reserve(struct room_list *list, size_t more)
{
    if (list->cap - list->count >= more)
        return ERR_OK;
    size_t cap = list->cap * 2 > list->count + more ? list->cap * 2 : list->count + more;
    struct hub_room_count *rows = mem_try_resize(list->rows, cap, sizeof *rows);
    if (rows == NULL)
        return ERR_NOMEM;
    list->rows = rows;
    list->cap = cap;
    return ERR_OK;
}

enum err room_list_add_own(struct room_list *list, struct hub *hub, const struct room_query *query)
{
    size_t max = query->limit + 1;
    if (reserve(list, max) != ERR_OK)
        return ERR_NOMEM;
    struct slice after = query->has_after ? slice_of(query->after, query->after_len) : SLICE_NONE;
    list->count += hub_list_rooms_by_name(hub, slice_of(query->prefix, query->prefix_len), after,
                                          list->rows + list->count, max);
    return ERR_OK;
}

static struct slice name_of(const struct hub_room_count *row)
{
    return slice_of(row->name, row->name_len);
}

void room_list_append(struct buf *buf, const struct room_list *list)
{
    buf_append_char(buf, '{');
    for (size_t i = 0; i < list->count; i++) {
        if (i != 0)
            buf_append_char(buf, ',');
        json_append_string(buf, name_of(&list->rows[i]));
        buf_printf(buf, ":%u", list->rows[i].members);
    }
    buf_append_char(buf, '}');
}

/* --- from another pod --- */

struct telling {
    struct room_list *list;
    enum err err;
};

static bool read_count(struct slice digits, uint32_t *count)
{
    *count = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        *count = *count * 10 + (uint32_t)(digits.ptr[i] - '0');
    }
    return digits.len != 0 && digits.len <= DIGITS_MAX;
}

static void take_room(void *arg, struct slice name, const struct json_value *value)
{
    struct telling *telling = arg;
    struct room_list *list = telling->list;
    uint32_t members = 0;
    if (telling->err != ERR_OK || value->kind != JSON_IS_NUMBER || name.ptr == NULL ||
        room_check_name(name).code != FAULT_NONE || !read_count(value->raw, &members))
        return;
    if (list->count == list->cap)
        telling->err = reserve(list, ROWS_AT_ONCE);
    if (telling->err != ERR_OK)
        return;
    struct hub_room_count *row = &list->rows[list->count++];
    row->members = members;
    row->name_len = (uint32_t)name.len;
    memcpy(row->name, name.ptr, name.len);
}

enum err room_list_add_told(struct room_list *list, struct slice json)
{
    struct telling telling = {.list = list};
    enum json_kind kind;
    switch (json_read(json, 1, take_room, &telling, &kind)) {
    case JSON_OK:
        return telling.err;
    case JSON_NO_MEMORY:
        return ERR_NOMEM;
    default:
        return ERR_INVALID;
    }
}

/* --- the page --- */

/* Sorts the rows and adds up those of one name. */
static void merge(struct room_list *list)
{
    size_t kept = 0;
    if (list->count == 0)
        return;
    qsort(list->rows, list->count, sizeof *list->rows, hub_compare_names);
    for (size_t i = 1; i < list->count; i++) {
        if (slice_equals(name_of(&list->rows[i]), name_of(&list->rows[kept])))
            list->rows[kept].members += list->rows[i].members;
        else
            list->rows[++kept] = list->rows[i];
    }
    list->count = kept + 1;
}

void room_list_append_page(struct buf *buf, struct room_list *list, unsigned limit)
{
    merge(list);
    size_t count = list->count < limit ? list->count : limit;
    buf_append_str(buf, "\"rooms\":[");
    for (size_t i = 0; i < count; i++) {
        buf_append_str(buf, i == 0 ? "{\"room\":" : ",{\"room\":");
        json_append_string(buf, name_of(&list->rows[i]));
        buf_printf(buf, ",\"members\":%u}", list->rows[i].members);
    }
    buf_append_str(buf, "],\"cursor\":");
    if (list->count > limit)
        json_append_string(buf, name_of(&list->rows[count - 1]));
    else
        buf_append_str(buf, "null");
}
