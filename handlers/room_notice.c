#include "handlers/room_notice.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/chat/envelope.h"
#include "core/chat/hub.h"
#include "core/chat/room.h"

enum { DATA_MAX = 2048 };

static struct message *make_notice(struct slice room, const struct fault *fault,
                                   struct buf *scratch)
{
    static const char event[] = "error";
    struct envelope envelope = {.type = ENVELOPE_SYSTEM, .event.len = sizeof event - 1};
    struct buf data;
    memcpy(envelope.event.bytes, event, sizeof event - 1);
    buf_init(&data, DATA_MAX);
    fault_append_json(&data, fault, NULL, 0);
    envelope.data = buf_slice(&data);
    buf_clear(scratch);
    if (data.err == ERR_OK)
        envelope_append(scratch, &envelope, room, slice_str("server"));
    buf_fini(&data);
    return scratch->err == ERR_OK && scratch->len != 0
               ? message_try_create(WS_TEXT, buf_slice(scratch), clock_monotonic_ns())
               : NULL;
}

void room_notice_fault(struct hub *hub, struct room *room, const struct fault *fault,
                       const struct publish_tools *tools)
{
    struct message *notice = make_notice(room->name, fault, tools->scratch);
    if (notice != NULL)
        hub_publish(hub, room, notice, tools->compressor);
    message_release(notice);
}
