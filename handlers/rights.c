#include "handlers/rights.h"

#include "core/auth/user.h"
#include "core/chat/room.h"

static const struct fault no_fault = {.code = FAULT_NONE};

static struct fault forbidden(const char *message)
{
    return (struct fault){.code = FAULT_CHANNEL_ERROR, .message = message, .field = "room"};
}

static bool is_own(struct slice room, struct slice id)
{
    return id.ptr != NULL && slice_equals(slice_skip(room, sizeof ROOM_USER_PREFIX - 1), id);
}

struct fault rights_check_join(struct slice room, const struct user *user, struct slice id,
                               bool events)
{
    if (room_is_users(room))
        return is_own(room, id) ? no_fault : forbidden("this is another user's room");
    if (slice_equals_str(room, ROOM_PRESENCE_GLOBAL) && !events)
        return forbidden("only clients that ask for " EVENTS_PROTOCOL " may join this room");
    return user_may_join(user, room) ? no_fault : forbidden("the token does not allow this room");
}

struct fault rights_check_leave(struct slice room, const struct user *user, struct slice id,
                                bool events)
{
    bool has_own = user != NULL || events; /* client_reserve_rooms */
    return has_own && room_is_users(room) && is_own(room, id)
               ? forbidden("a client does not leave its user's own room")
               : no_fault;
}

struct fault rights_check_publish(struct slice room, const struct user *user)
{
    if (room.ptr != NULL && room_is_users(room))
        return forbidden("clients do not publish to a user's room");
    return user_may_publish(user, room)
               ? no_fault
               : forbidden("the token does not allow publishing to this room");
}
