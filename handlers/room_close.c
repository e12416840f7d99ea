#include "handlers/room_close.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/chat/envelope.h"
#include "core/chat/eviction.h"
#include "core/chat/hub.h"
#include "handlers/service.h"

enum { NOTICE_MAX = 2048 };

/* The error that all members get: an envelope of the room, so that they see which one it was. */
static struct message *make_notice(struct slice name, struct buf *scratch)
{
    static const struct fault fault = {
        .code = FAULT_CHANNEL_ERROR, .message = "the room was closed", .field = "room"};
    static const char event[] = "error";
    struct envelope envelope = {.type = ENVELOPE_SYSTEM, .event.len = sizeof event - 1};
    struct buf data;
    memcpy(envelope.event.bytes, event, sizeof event - 1);
    buf_init(&data, NOTICE_MAX);
    fault_append_json(&data, &fault, NULL, 0);
    envelope.data = buf_slice(&data);
    buf_clear(scratch);
    if (data.err == ERR_OK)
        envelope_append(scratch, &envelope, name, slice_str("server"));
    buf_fini(&data);
    return scratch->err == ERR_OK && scratch->len != 0
               ? message_try_create(WS_TEXT, buf_slice(scratch), clock_monotonic_ns())
               : NULL;
}

void room_close(struct service *service, struct slice name, const struct publish_tools *tools)
{
    static const struct eviction eviction = {
        .code = EVICTION_CODE,
        .reason = {.ptr = "put out by the API", .len = sizeof "put out by the API" - 1}};
    struct room *room = hub_find_room(service->hub, name);
    if (room == NULL)
        return;
    struct message *notice = make_notice(name, tools->scratch);
    if (notice != NULL)
        hub_publish(service->hub, room, notice, tools->compressor);
    message_release(notice);
    eviction_of_room(service->hub, name, &eviction);
    log_info("room:closed", log_room(name));
    room_release(room);
}
