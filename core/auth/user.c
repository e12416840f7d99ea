#include "core/auth/user.h"

#include "core/auth/glob.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

/* Presence of everybody, which every user may follow (EVENTS: rooms by right). */
#define GLOBAL_PRESENCE_ROOM "presence:global"

/* Copies the text to `*at`, which is moved behind it. */
static struct slice keep(struct slice text, char **at)
{
    if (text.ptr == NULL)
        return SLICE_NONE;
    if (text.len != 0)
        memcpy(*at, text.ptr, text.len);
    struct slice kept = slice_of(*at, text.len);
    *at += text.len;
    return kept;
}

struct user *user_try_create(const struct user *from)
{
    size_t grants_size = from->grants_count * sizeof *from->grants;
    size_t text_size = from->id.len + from->name.len;
    for (size_t i = 0; i < from->grants_count; i++)
        text_size += from->grants[i].pattern.len;
    struct user *user = mem_try_alloc(sizeof *user + grants_size + text_size);
    if (user == NULL)
        return NULL;
    struct grant *grants = (struct grant *)(user + 1);
    char *at = (char *)grants + grants_size;
    *user = *from;
    atomic_init(&user->refs, 1);
    user->id = keep(from->id, &at);
    user->name = keep(from->name, &at);
    user->grants = grants;
    for (size_t i = 0; i < from->grants_count; i++)
        grants[i] = (struct grant){.pattern = keep(from->grants[i].pattern, &at),
                                   .can = from->grants[i].can};
    return user;
}

struct user *user_retain(struct user *user)
{
    atomic_fetch_add_explicit(&user->refs, 1, memory_order_relaxed);
    return user;
}

void user_release(struct user *user)
{
    if (user != NULL && atomic_fetch_sub_explicit(&user->refs, 1, memory_order_acq_rel) == 1)
        mem_free(user);
}

const char *user_check_id(struct slice id)
{
    if (id.len == 0 || id.len > USER_ID_MAX)
        return "the token's sub must have 1 to 123 bytes";
    if (!utf8_is_valid(id.ptr, id.len) || utf8_has_control(id.ptr, id.len) ||
        memchr(id.ptr, '/', id.len) != NULL)
        return "the token's sub must be UTF-8 without control characters and slashes";
    if (slice_equals_str(id, USER_SERVICE_ID))
        return "the token's sub is server, which is the service itself";
    return NULL;
}

uint64_t user_time_left_ms(const struct user *user, uint64_t wall_ms)
{
    uint64_t until_ms = user->expires_ms + USER_LEEWAY_MS;
    return until_ms > wall_ms ? until_ms - wall_ms : 0;
}

/* --- rights --- */

/* Whose own room it is; ptr NULL: nobody's. */
static struct slice room_owner(struct slice room)
{
    struct slice prefix = slice_str(USER_ROOM_PREFIX);
    return slice_starts_with(room, prefix) ? slice_skip(room, prefix.len) : SLICE_NONE;
}

static bool is_granted(const struct user *user, struct slice room, enum user_right right)
{
    if (user == NULL || !user->has_grants)
        return true;
    for (size_t i = 0; i < user->grants_count; i++)
        if ((user->grants[i].can & right) != 0 && glob_matches(user->grants[i].pattern, room))
            return true;
    return false;
}

bool user_may_join(const struct user *user, struct slice room)
{
    struct slice owner = room_owner(room);
    if (owner.ptr != NULL)
        return user != NULL && slice_equals(owner, user->id);
    return slice_equals_str(room, GLOBAL_PRESENCE_ROOM) || is_granted(user, room, USER_JOIN);
}

bool user_may_publish(const struct user *user, struct slice room)
{
    if (room.ptr == NULL)
        room = slice_str("");
    return room_owner(room).ptr == NULL && is_granted(user, room, USER_PUBLISH);
}
