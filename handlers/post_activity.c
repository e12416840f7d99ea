#include "handlers/post_activity.h"

#include <string.h>

#include "core/base/json.h"
#include "handlers/api.h"
#include "handlers/entry.h"
#include "handlers/request.h"
#include "handlers/service.h"

static struct refusal invalid(const char *message, const char *field)
{
    return api_refuse(
        MHD_HTTP_BAD_REQUEST,
        (struct fault){.code = FAULT_INVALID_PAYLOAD, .message = message, .field = field});
}

/* Without data the room's name is what there is to tell. `own` holds that. */
static struct refusal read_activity(struct api *api, struct slice body, struct slice room,
                                    struct buf *own, struct entry *entry)
{
    static const char event[] = "channel:activity";
    struct fault fault;
    if (envelope_parse(body, ENVELOPE_OF_API, &entry->envelope, &fault) != ERR_OK)
        return api_refuse(MHD_HTTP_BAD_REQUEST, fault);
    struct envelope *envelope = &entry->envelope;
    if (envelope->users.ptr == NULL)
        return invalid("an activity needs users", "users");
    if (envelope->rooms.ptr != NULL)
        return invalid("the path names the room", "rooms");
    targets_clear(&api->targets);
    fault = targets_add_users(&api->targets, envelope->users);
    if (fault.code != FAULT_NONE)
        return api_refuse(MHD_HTTP_BAD_REQUEST, fault);
    if (envelope->data.ptr == NULL) {
        buf_append_str(own, "{\"room\":");
        json_append_string(own, room);
        buf_append_char(own, '}');
        envelope->data = buf_slice(own);
    }
    envelope->type = ENVELOPE_NOTIFICATION;
    envelope->event.len = sizeof event - 1;
    memcpy(envelope->event.bytes, event, sizeof event - 1);
    entry->target = ENTRY_TO_LIST;
    return (struct refusal){0};
}

static struct refusal act(struct request *request, struct slice body, struct buf *answer)
{
    enum { OWN_MAX = 8 * ROOM_NAME_MAX };
    struct api *api = request->service->api;
    char name[ROOM_NAME_MAX];
    struct slice room;
    struct buf own;
    struct entry entry;
    struct entry_budget budget;
    entry_budget_init(&budget);
    buf_init(&own, OWN_MAX);
    struct refusal refusal = api_decode_room(request, name, &room);
    if (refusal.status == 0)
        refusal = read_activity(api, body, room, &own, &entry);
    if (refusal.status == 0)
        refusal = entry_publish(api, &entry, &budget);
    if (refusal.status == 0) {
        buf_append_char(answer, '{');
        entry_append(answer, &entry);
        buf_append_str(answer, ",\"room\":");
        json_append_string(answer, room);
        buf_printf(answer, ",\"users\":%zu}", api->targets.count);
        api->counts.accepted++;
    } else {
        api->counts.rejected++;
    }
    buf_fini(&own);
    return refusal;
}

enum MHD_Result post_activity_answer(struct request *request)
{
    return api_post(request, act);
}
