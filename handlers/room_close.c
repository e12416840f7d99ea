#include "handlers/room_close.h"

#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/chat/eviction.h"
#include "core/chat/hub.h"
#include "core/chat/room.h"
#include "handlers/room_notice.h"
#include "handlers/service.h"

void room_close(struct service *service, struct slice name, const struct publish_tools *tools)
{
    static const struct eviction eviction = {
        .code = EVICTION_CODE,
        .reason = {.ptr = "put out by the API", .len = sizeof "put out by the API" - 1}};
    static const struct fault fault = {
        .code = FAULT_CHANNEL_ERROR, .message = "the room was closed", .field = "room"};
    struct room *room = hub_find_room(service->hub, name);
    if (room == NULL)
        return;
    room_notice_fault(service->hub, room, &fault, tools);
    eviction_of_room(service->hub, name, &eviction);
    log_info("room:closed", log_room(name));
    room_release(room);
}
