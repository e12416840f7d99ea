#include "core/bus/channel.h"

#include "core/base/utf8.h"

#define ROOM_PREFIX   "realtime:room:"
#define EVENTS_PREFIX "realtime-events" /* the group's name begins with the slash */

static bool is_events(struct slice room)
{
    return room.len != 0 && room.ptr[0] == '/';
}

static bool is_pods(struct slice room)
{
    return room.len >= 2 && room.ptr[0] == '/' && room.ptr[1] == '/';
}

struct slice channel_name_pod(struct slice pod, char out[CHANNEL_POD_MAX])
{
    size_t len = pod.ptr != NULL ? pod.len : 0;
    if (len > CHANNEL_POD_MAX - 2)
        len = CHANNEL_POD_MAX - 2;
    out[0] = out[1] = '/';
    if (len != 0)
        memcpy(out + 2, pod.ptr, len);
    return slice_of(out, len + 2);
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
    if (is_pods(room)) {
        out[1] = slice_skip(room, 2);
        out[0] = slice_str(out[1].len != 0 ? CHANNEL_CONTROL ":" : CHANNEL_CONTROL);
    }
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
