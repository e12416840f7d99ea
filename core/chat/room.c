#include "core/chat/room.h"

#include <assert.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/chat/message.h"

enum {
    FIRST_CAPACITY = 4,
    LARGE_CAPACITY = 1024, /* from here on an array grows by a quarter: much of it is never used */
};

struct fault room_check_name(struct slice name)
{
    const char *message = NULL;
    if (name.len == 0 || name.len > ROOM_NAME_MAX)
        message = "a room's name has 1 to 128 bytes";
    else if (!utf8_is_valid(name.ptr, name.len))
        message = "a room's name must be UTF-8";
    else if (utf8_has_control(name.ptr, name.len))
        message = "a room's name must not contain control characters";
    else if (memchr(name.ptr, '/', name.len) != NULL)
        message = "a room's name must not contain a slash";
    if (message == NULL)
        return (struct fault){.code = FAULT_NONE};
    return (struct fault){.code = FAULT_CHANNEL_ERROR, .message = message, .field = "room"};
}

bool room_is_users(struct slice name)
{
    size_t len = sizeof ROOM_USER_PREFIX - 1;
    return name.len >= len && memcmp(name.ptr, ROOM_USER_PREFIX, len) == 0;
}

struct slice room_users_name(struct slice user, char out[ROOM_NAME_MAX])
{
    size_t prefix = sizeof ROOM_USER_PREFIX - 1;
    if (user.len > ROOM_NAME_MAX - prefix)
        return SLICE_NONE;
    memcpy(out, ROOM_USER_PREFIX, prefix);
    memcpy(out + prefix, user.ptr, user.len);
    return slice_of(out, prefix + user.len);
}

bool room_is_hidden(struct slice name)
{
    return name.ptr == NULL || name.ptr[0] == '/' || room_is_users(name);
}

struct slice room_events_name(struct slice room, char out[ROOM_KEY_MAX])
{
    out[0] = '/';
    memcpy(out + 1, room.ptr, room.len);
    return slice_of(out, room.len + 1);
}

struct room *room_try_create(struct slice name, unsigned parts_count)
{
    size_t parts_size = parts_count * sizeof(struct room_part);
    struct room *room = mem_try_alloc(sizeof *room + parts_size + name.len);
    if (room == NULL)
        return NULL;
    memset(room, 0, sizeof *room + parts_size);
    atomic_init(&room->refs, 1);
    room->parts_count = parts_count;
    room->hidden = room_is_hidden(name);
    for (unsigned i = 0; i < parts_count; i++)
        room->parts[i].room = room;
    if (name.ptr != NULL) {
        char *copy = (char *)room->parts + parts_size;
        memcpy(copy, name.ptr, name.len);
        room->name = slice_of(copy, name.len);
    }
    return room;
}

struct room *room_retain(struct room *room)
{
    /* Relaxed is enough: who retains holds a count, or the lock of the directory that does. */
    atomic_fetch_add_explicit(&room->refs, 1, memory_order_relaxed);
    return room;
}

void room_release(struct room *room)
{
    /* Orders everybody's use before the free. */
    if (room == NULL || atomic_fetch_sub_explicit(&room->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < room->parts_count; i++) {
        struct room_part *part = &room->parts[i];
        assert(part->count == 0 && part->plain == NULL && part->deflated == NULL);
        mem_free(part->members);
    }
    mem_free(room);
}

enum err room_part_add(struct room_part *part, struct client *client, struct membership *membership)
{
    if (part->count == part->cap) {
        uint32_t cap = part->cap != 0 ? part->cap * 2 : FIRST_CAPACITY;
        if (part->cap >= LARGE_CAPACITY)
            cap = part->cap + part->cap / 4;
        struct member *members = mem_try_resize(part->members, cap, sizeof *members);
        if (members == NULL)
            return ERR_NOMEM;
        part->members = members;
        part->cap = cap;
    }
    membership->index = part->count;
    part->members[part->count++] = (struct member){.client = client, .membership = membership};
    return ERR_OK;
}

void room_part_move(struct room_part *part, struct membership *membership)
{
    if (membership->index != MEMBERSHIP_OUT)
        part->members[membership->index].membership = membership;
}

/* Gives memory back once a large room has become small. */
static void shrink(struct room_part *part)
{
    if (part->cap <= 64 || part->count * 4 > part->cap)
        return;
    struct member *members = mem_try_resize(part->members, part->cap / 2, sizeof *members);
    if (members == NULL)
        return;
    part->members = members;
    part->cap /= 2;
}

void room_part_remove(struct room_part *part, struct membership *membership)
{
    uint32_t index = membership->index;
    assert(index < part->count && part->members[index].membership == membership);
    part->members[index] = part->members[--part->count];
    part->members[index].membership->index = index;
    membership->index = MEMBERSHIP_OUT;
    shrink(part);
}

/* Forgets a batch that holds nothing: it would be queued as an entry that no send ever ends. */
static void discard_empty(struct batch **batch)
{
    if (*batch == NULL || (*batch)->count != 0)
        return;
    batch_release(*batch);
    *batch = NULL;
}

static enum err append(struct batch **batch, struct slice frame, uint64_t received_ns)
{
    if (*batch == NULL)
        *batch = batch_try_create();
    enum err err = *batch != NULL ? batch_append(*batch, frame, received_ns) : ERR_NOMEM;
    discard_empty(batch);
    return err;
}

enum err room_part_append(struct room_part *part, const struct message *message)
{
    bool both =
        part->deflated != NULL || atomic_load_explicit(&part->deflaters, memory_order_relaxed) != 0;
    struct slice plain = message_frame(message, false);
    if (part->plain != NULL) {
        /* The first who takes compressed frames came in the middle of a batch. */
        if (both && part->deflated == NULL)
            return ERR_FULL;
        /* Asked before either has grown: both get a message or none. The compressed batch is never
         * the longer one. */
        if (part->plain->count != 0 && part->plain->len + plain.len > BATCH_BYTES_MAX)
            return ERR_FULL;
    }
    if (both) {
        enum err err = append(&part->deflated, message_frame(message, true), message->received_ns);
        if (err != ERR_OK)
            return err;
    }
    enum err err = append(&part->plain, plain, message->received_ns);
    if (err != ERR_OK && both) {
        batch_remove_last(part->deflated);
        discard_empty(&part->deflated);
    }
    return err;
}
