#include "handlers/publish.h"

#include <string.h>

#include "core/bus/bus.h"
#include "core/chat/envelope.h"
#include "core/chat/hub.h"
#include "handlers/service.h"

/* Gives what stands in the scratch to all who get it. */
static enum err give_out(struct service *service, const struct publication *publication,
                         const struct publish_tools *tools)
{
    struct buf *json = tools->scratch;
    struct slice name = publication->name;
    struct room *room = publication->room;
    struct message *message =
        json->err == ERR_OK ? message_try_create(WS_TEXT, buf_slice(json), publication->received_ns)
                            : NULL;
    if (message == NULL)
        return ERR_NOMEM;
    message->heavy = publication->heavy;
    if (room != NULL)
        hub_publish(service->hub, room, message, tools->compressor);
    if (service->bus != NULL)
        bus_publish(service->bus, name, message->plain, message->payload_at);
    message_release(message);
    return ERR_OK;
}

void publish_to_user(struct service *service, struct slice user, uint64_t received_ns,
                     const struct publish_tools *tools)
{
    char name[sizeof "/" ROOM_USER_PREFIX + ROOM_NAME_MAX] = "/" ROOM_USER_PREFIX;
    size_t prefix_len = sizeof "/" ROOM_USER_PREFIX - 1;
    if (user.len > ROOM_NAME_MAX)
        return;
    memcpy(name + prefix_len, user.ptr, user.len);
    struct slice group = slice_of(name, prefix_len + user.len);
    struct room *room = hub_find_room(service->hub, group);
    const struct publication publication = {
        .name = group, .room = room, .received_ns = received_ns};
    (void)give_out(service, &publication, tools);
    room_release(room);
}

enum err publish(struct service *service, const struct publication *publication,
                 const struct publish_tools *tools)
{
    buf_clear(tools->scratch);
    envelope_append(tools->scratch, publication->envelope, publication->name, publication->from);
    return give_out(service, publication, tools);
}
