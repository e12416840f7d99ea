#include "core/bus/channel.h"

#include "core/base/utf8.h"

#define ROOM_PREFIX   "realtime:room:"
#define EVENTS_PREFIX "realtime:events" /* the group's name begins with the slash */

static bool is_events(struct slice room)
{
    return room.len != 0 && room.ptr[0] == '/';
}

static bool room_is_valid(struct slice room)
{
    return room.len >= 1 && room.len < CHANNEL_ROOM_MAX &&
           memchr(room.ptr, '/', room.len) == NULL && utf8_is_valid(room.ptr, room.len) &&
           !utf8_has_control(room.ptr, room.len);
}

void channel_of_room(struct slice room, struct slice out[2])
{
    out[0] = is_events(room) ? slice_str(EVENTS_PREFIX) : slice_str(ROOM_PREFIX);
    out[1] = room;
}

bool channel_find_room(struct slice channel, struct slice *room)
{
    if (slice_starts_with(channel, slice_str(ROOM_PREFIX))) {
        *room = slice_skip(channel, sizeof ROOM_PREFIX - 1);
        return room_is_valid(*room);
    }
    if (!slice_starts_with(channel, slice_str(EVENTS_PREFIX)))
        return false;
    *room = slice_skip(channel, sizeof EVENTS_PREFIX - 1);
    return is_events(*room) && room_is_valid(slice_skip(*room, 1));
}
