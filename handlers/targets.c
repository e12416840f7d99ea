#include "handlers/targets.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/chat/json_read.h"

/* What the two lists have different. */
struct list_kind {
    const char *field;
    const char *prefix; /* of the room's name */
    size_t name_max;    /* bytes */
    const char *no_array, *too_many, *no_name;
};

static const struct list_kind rooms_kind = {
    .field = "rooms",
    .prefix = "",
    .name_max = ROOM_NAME_MAX,
    .no_array = "rooms must be an array of names",
    .too_many = "rooms has at most 1000 names",
    .no_name = "a room's name must be a string",
};

static const struct list_kind users_kind = {
    .field = "users",
    .prefix = ROOM_USER_PREFIX,
    .name_max = TARGETS_USER_MAX,
    .no_array = "users must be an array of ids",
    .too_many = "users has at most 1000 ids",
    .no_name = "a user's id must be a string",
};

struct adding {
    struct targets *targets;
    const struct list_kind *kind;
    size_t count; /* elements so far */
    struct fault fault;
};

void targets_init(struct targets *targets)
{
    targets->rows = mem_resize(NULL, 2 * (size_t)TARGETS_EACH_MAX, sizeof *targets->rows);
    targets->count = 0;
    map_init(&targets->seen);
}

void targets_fini(struct targets *targets)
{
    map_fini(&targets->seen);
    mem_free(targets->rows);
}

void targets_clear(struct targets *targets)
{
    map_fini(&targets->seen);
    map_init(&targets->seen);
    targets->count = 0;
}

static struct fault invalid(const char *message, const char *field)
{
    return (struct fault){.code = FAULT_INVALID_PAYLOAD, .message = message, .field = field};
}

static struct fault check_name(const struct list_kind *kind, struct slice name)
{
    struct fault fault = room_check_name(name);
    if (fault.code == FAULT_NONE && name.len > kind->name_max)
        fault = (struct fault){.code = FAULT_CHANNEL_ERROR,
                               .message = "a user's id has 1 to 123 bytes"};
    fault.field = kind->field;
    return fault;
}

static struct fault add(struct targets *targets, const struct list_kind *kind, struct slice name)
{
    size_t prefix_len = strlen(kind->prefix);
    struct target *row = &targets->rows[targets->count];
    memcpy(row->name, kind->prefix, prefix_len);
    memcpy(row->name + prefix_len, name.ptr, name.len);
    row->len = (unsigned char)(prefix_len + name.len);
    struct slice full = slice_of(row->name, row->len);
    if (map_get(&targets->seen, full) != NULL)
        return (struct fault){.code = FAULT_NONE};
    if (map_add(&targets->seen, full, row) != ERR_OK)
        return (struct fault){.code = FAULT_INTERNAL, .message = "out of memory"};
    targets->count++;
    return (struct fault){.code = FAULT_NONE};
}

static void take_element(void *arg, struct slice name, const struct json_value *value)
{
    struct adding *adding = arg;
    const struct list_kind *kind = adding->kind;
    /* Members of an object have names: that it is no array is told at the end. */
    if (adding->fault.code != FAULT_NONE || name.ptr != NULL)
        return;
    if (adding->count++ == TARGETS_EACH_MAX)
        adding->fault = invalid(kind->too_many, kind->field);
    else if (value->kind != JSON_IS_STRING)
        adding->fault = invalid(kind->no_name, kind->field);
    else
        adding->fault = check_name(kind, value->text);
    if (adding->fault.code == FAULT_NONE)
        adding->fault = add(adding->targets, kind, value->text);
}

static struct fault add_all(struct targets *targets, const struct list_kind *kind,
                            struct slice json)
{
    struct adding adding = {.targets = targets, .kind = kind};
    enum json_kind outer;
    /* An array of strings: one level would do, but then deeper ones were called malformed. */
    enum json_result result = json_read(json, 2, take_element, &adding, &outer);
    if (result == JSON_NO_MEMORY)
        return (struct fault){.code = FAULT_INTERNAL, .message = "out of memory"};
    if (result == JSON_TOO_DEEP && adding.fault.code == FAULT_NONE)
        return invalid(kind->no_name, kind->field);
    if (result == JSON_MALFORMED || outer != JSON_IS_ARRAY)
        return invalid(kind->no_array, kind->field);
    return adding.fault;
}

struct fault targets_add_rooms(struct targets *targets, struct slice json)
{
    return add_all(targets, &rooms_kind, json);
}

struct fault targets_add_users(struct targets *targets, struct slice json)
{
    return add_all(targets, &users_kind, json);
}
