#include "handlers/room_refused.h"

#include "core/chat/hub.h"
#include "core/chat/room.h"
#include "handlers/room_notice.h"
#include "handlers/service.h"

const struct fault room_refused_fault = {
    .code = FAULT_CHANNEL_ERROR, .message = "Redis refuses this room to the pod", .field = "room"};

/* Of a group of events clients nobody is told: its room stands or is refused by itself, and without
 * the group's channel events stay within the pod, as without the control channels (README: many
 * pods). */
void room_refused(struct service *service, struct slice name, const struct publish_tools *tools)
{
    bool is_group = name.len != 0 && name.ptr[0] == '/';
    struct room *room = hub_find_room(service->hub, name);
    if (room == NULL)
        return;
    atomic_store(&room->subscribed, false);
    if (!is_group)
        room_notice_fault(service->hub, room, &room_refused_fault, tools);
    room_release(room);
}
