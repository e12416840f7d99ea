/*
 * Only pods write these texts, so they are read with little ceremony: yajl's tree, types checked,
 * anything else is not in order.
 */
#include "core/presence/record.h"

#include <string.h>
#include <yajl/yajl_tree.h>

#include "core/base/json.h"
#include "core/base/mem.h"

#define SIGNAL_START "{\"presence\":"

enum { DEPTH_MAX = 8 }; /* a set of records has five levels */

static const char *const status_names[PRESENCE_STATUSES] = {
    [PRESENCE_ONLINE] = "online",
    [PRESENCE_AWAY] = "away",
    [PRESENCE_BUSY] = "busy",
    [PRESENCE_OFFLINE] = "offline",
};

const char *presence_status_name(enum presence_status status)
{
    return status_names[status];
}

bool presence_status_parse(struct slice name, enum presence_status *out)
{
    for (int i = 0; i < PRESENCE_STATUSES; i++) {
        if (slice_equals_str(name, status_names[i])) {
            *out = (enum presence_status)i;
            return true;
        }
    }
    return false;
}

/* --- writing --- */

void record_append(struct buf *buf, const struct record *record)
{
    bool named = record->name.ptr != NULL;
    buf_printf(buf, "[%llu,%u,%llu", (unsigned long long)record->rev, record->clients,
               (unsigned long long)record->since_ms);
    if (record->stamp_ms != 0 || record->status != PRESENCE_ONLINE || named ||
        record->text.len != 0) {
        buf_printf(buf, ",%llu,\"%s\",", (unsigned long long)record->stamp_ms,
                   status_names[record->status]);
        if (named)
            json_append_string(buf, record->name);
        else
            buf_append_str(buf, "null");
        buf_append_char(buf, ',');
        json_append_string(buf, record->text);
    }
    buf_append_char(buf, ']');
}

void note_append(struct buf *buf, const struct note *note)
{
    buf_printf(
        buf, "{\"ask\":%s,\"gone\":%s,\"idle\":%s,\"stamp\":%llu,\"status\":\"%s\",\"text\":",
        note->ask ? "true" : "false", note->gone ? "true" : "false", note->idle ? "true" : "false",
        (unsigned long long)note->stamp_ms, status_names[note->status]);
    json_append_string(buf, note->text);
    buf_append_char(buf, '}');
}

/* --- reading --- */

/* yajl gives a tree back by recursion: what is nested deeper than any of these texts is not begun.
 */
static bool is_flat(struct slice json)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{') && ++depth > DEPTH_MAX)
            return false;
        else if (!in_string && (c == ']' || c == '}') && depth > 0)
            depth--;
    }
    return true;
}

static yajl_val parse(struct slice json)
{
    if (!is_flat(json))
        return NULL;
    /* yajl wants a terminator. */
    char *text = mem_try_alloc(json.len + 1);
    if (text == NULL)
        return NULL;
    memcpy(text, json.ptr, json.len);
    text[json.len] = '\0';
    yajl_val tree = yajl_tree_parse(text, NULL, 0);
    mem_free(text);
    return tree;
}

static yajl_val member(yajl_val object, const char *name)
{
    const char *path[] = {name, NULL};
    return yajl_tree_get(object, path, yajl_t_any);
}

static yajl_val element(yajl_val array, size_t i)
{
    if (array == NULL || array->type != yajl_t_array || i >= array->u.array.len)
        return NULL;
    return array->u.array.values[i];
}

static struct slice text_of(yajl_val value)
{
    return YAJL_IS_STRING(value) ? slice_str(YAJL_GET_STRING(value)) : SLICE_NONE;
}

static bool read_number(yajl_val value, uint64_t max, uint64_t *out)
{
    if (value == NULL || !YAJL_IS_INTEGER(value) || YAJL_GET_INTEGER(value) < 0 ||
        (uint64_t)YAJL_GET_INTEGER(value) > max)
        return false;
    *out = (uint64_t)YAJL_GET_INTEGER(value);
    return true;
}

static bool read_status(yajl_val stamp, yajl_val status, uint64_t *stamp_ms,
                        enum presence_status *out)
{
    return read_number(stamp, INT64_MAX, stamp_ms) && YAJL_IS_STRING(status) &&
           presence_status_parse(text_of(status), out);
}

static bool take_record(yajl_val array, struct record *record)
{
    uint64_t clients;
    *record = (struct record){.text = slice_str("")};
    if (!read_number(element(array, 0), INT64_MAX, &record->rev) ||
        !read_number(element(array, 1), UINT32_MAX, &clients) ||
        !read_number(element(array, 2), INT64_MAX, &record->since_ms))
        return false;
    record->clients = (uint32_t)clients;
    if (element(array, 3) == NULL)
        return true;
    if (!read_status(element(array, 3), element(array, 4), &record->stamp_ms, &record->status))
        return false;
    record->name = text_of(element(array, 5));
    if (text_of(element(array, 6)).ptr != NULL)
        record->text = text_of(element(array, 6));
    return true;
}

bool record_read(struct slice json, void (*take)(void *arg, const struct record *record), void *arg)
{
    struct record record;
    yajl_val tree = parse(json);
    bool good = tree != NULL && take_record(tree, &record);
    if (good)
        take(arg, &record);
    yajl_tree_free(tree);
    return good;
}

static bool is_true(yajl_val object, const char *name)
{
    yajl_val value = member(object, name);
    return value != NULL && value->type == yajl_t_true;
}

static bool read_note(yajl_val object, struct note *note)
{
    *note = (struct note){.ask = is_true(object, "ask"),
                          .gone = is_true(object, "gone"),
                          .idle = is_true(object, "idle"),
                          .text = text_of(member(object, "text"))};
    return note->text.ptr != NULL && read_status(member(object, "stamp"), member(object, "status"),
                                                 &note->stamp_ms, &note->status);
}

static bool is_user(struct slice user)
{
    return user.ptr != NULL && user.len != 0 && user.len <= PRESENCE_USER_MAX;
}

static bool read_set(yajl_val set, struct slice lease, const struct signal_handlers *handlers)
{
    yajl_val pair;
    for (size_t i = 0; (pair = element(set, i)) != NULL; i++) {
        struct slice user = text_of(element(pair, 0));
        struct record record;
        if (!is_user(user) || !take_record(element(pair, 1), &record))
            return false;
        handlers->on_set(handlers->arg, lease, user, &record);
    }
    return true;
}

static bool read_typing(yajl_val pair, const struct signal_handlers *handlers)
{
    struct slice user = text_of(element(pair, 0));
    yajl_val typing = element(pair, 1);
    if (!is_user(user) || typing == NULL ||
        (typing->type != yajl_t_true && typing->type != yajl_t_false))
        return false;
    handlers->on_typing(handlers->arg, user, typing->type == yajl_t_true);
    return true;
}

static bool read_signal(yajl_val signal, const struct signal_handlers *handlers)
{
    struct slice lease = text_of(member(signal, "lease"));
    yajl_val set = member(signal, "set");
    yajl_val user = member(signal, "user");
    struct note note;
    if (lease.len != LEASE_ID_LEN)
        return false;
    if (YAJL_IS_ARRAY(set))
        return read_set(set, lease, handlers);
    if (!YAJL_IS_OBJECT(user))
        return read_typing(member(signal, "typing"), handlers);
    if (!read_note(user, &note))
        return false;
    handlers->on_note(handlers->arg, lease, &note);
    return true;
}

bool signal_is_presence(struct slice json)
{
    return slice_starts_with(json, slice_str(SIGNAL_START));
}

bool signal_read(struct slice json, const struct signal_handlers *handlers)
{
    yajl_val tree = parse(json);
    yajl_val signal = tree != NULL ? member(tree, "presence") : NULL;
    bool good = YAJL_IS_OBJECT(signal) && read_signal(signal, handlers);
    yajl_tree_free(tree);
    return good;
}
