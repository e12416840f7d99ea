#include "handlers/post_message.h"

#include "core/base/json.h"
#include "handlers/api.h"
#include "handlers/entry.h"
#include "handlers/request.h"
#include "handlers/service.h"

/* `room`: of the path, which the answer names; SLICE_NONE: the body says where. */
static struct refusal publish(struct api *api, struct slice body, struct slice room,
                              struct buf *answer)
{
    struct entry entry;
    struct entry_budget budget;
    entry_budget_init(&budget);
    struct refusal refusal = entry_read(api, body, room, &entry);
    if (refusal.status == 0)
        refusal = entry_publish(api, &entry, &budget);
    if (refusal.status != 0)
        return refusal;
    buf_append_char(answer, '{');
    entry_append(answer, &entry);
    if (room.ptr != NULL) {
        buf_append_str(answer, ",\"room\":");
        json_append_string(answer, room);
    }
    buf_append_char(answer, '}');
    return refusal;
}

static void count(struct api *api, const struct refusal *refusal)
{
    if (refusal->status == 0)
        api->counts.accepted++;
    else
        api->counts.rejected++;
}

static struct refusal act(struct request *request, struct slice body, struct buf *answer)
{
    struct api *api = request->service->api;
    struct refusal refusal = publish(api, body, SLICE_NONE, answer);
    count(api, &refusal);
    return refusal;
}

static struct refusal act_in_room(struct request *request, struct slice body, struct buf *answer)
{
    struct api *api = request->service->api;
    char name[ROOM_NAME_MAX];
    struct slice room;
    struct refusal refusal = api_decode_room(request, name, &room);
    if (refusal.status == 0)
        refusal = publish(api, body, room, answer);
    count(api, &refusal);
    return refusal;
}

enum MHD_Result post_message_answer(struct request *request)
{
    return api_post(request, act);
}

enum MHD_Result post_room_message_answer(struct request *request)
{
    return api_post(request, act_in_room);
}
