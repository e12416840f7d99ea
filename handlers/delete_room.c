#include "handlers/delete_room.h"

#include "core/base/json.h"
#include "handlers/api.h"
#include "handlers/control.h"
#include "handlers/request.h"
#include "handlers/room_close.h"
#include "handlers/service.h"

enum { ANSWER_MAX = 1024 };

enum MHD_Result delete_room_answer(struct request *request)
{
    struct service *service = request->service;
    struct publish_tools tools = {.compressor = &service->api->compressor,
                                  .scratch = &service->api->scratch};
    char bytes[ROOM_NAME_MAX];
    struct slice name;
    struct buf answer;
    struct refusal refusal = api_decode_room(request, bytes, &name);
    if (refusal.status == 0 && room_is_users(name))
        refusal = api_refuse(MHD_HTTP_BAD_REQUEST,
                             (struct fault){.code = FAULT_CHANNEL_ERROR,
                                            .message = "a user's own room cannot be closed",
                                            .field = "room"});
    if (refusal.status == 0)
        refusal = api_check_service(request);
    if (refusal.status != 0)
        return reply_refusal(request->connection, &refusal);
    room_close(service, name, &tools);
    control_tell_close(service->control, name);
    buf_init(&answer, ANSWER_MAX);
    buf_append_str(&answer, "{\"room\":");
    json_append_string(&answer, name);
    buf_append_char(&answer, '}');
    return reply_text(request->connection, MHD_HTTP_ACCEPTED, "application/json", &answer);
}
