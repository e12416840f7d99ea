#include "handlers/rights.h"

#include "core/chat/room.h"

static const struct fault no_fault = {.code = FAULT_NONE};

static struct fault forbidden(const char *message)
{
    return (struct fault){.code = FAULT_CHANNEL_ERROR, .message = message, .field = "room"};
}

static bool is_own(struct slice room, struct slice user)
{
    return user.ptr != NULL && slice_equals(slice_skip(room, sizeof ROOM_USER_PREFIX - 1), user);
}

struct fault rights_check_join(struct slice room, struct slice user, bool events)
{
    if (room_is_users(room) && !is_own(room, user))
        return forbidden("this is another user's room");
    if (slice_equals_str(room, ROOM_PRESENCE_GLOBAL) && !events)
        return forbidden("only clients that ask for " EVENTS_PROTOCOL " may join this room");
    return no_fault;
}

struct fault rights_check_publish(struct slice room)
{
    if (room_is_users(room))
        return forbidden("clients do not publish to a user's room");
    return no_fault;
}
