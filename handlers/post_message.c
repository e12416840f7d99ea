#include "handlers/post_message.h"

#include "handlers/api.h"
#include "handlers/entry.h"
#include "handlers/request.h"
#include "handlers/service.h"

static struct refusal act(struct request *request, struct slice body, struct buf *answer)
{
    struct api *api = request->service->api;
    struct entry entry;
    struct entry_budget budget;
    entry_budget_init(&budget);
    struct refusal refusal = entry_read(api, body, SLICE_NONE, &entry);
    if (refusal.status == 0)
        refusal = entry_publish(api, &entry, &budget);
    if (refusal.status != 0) {
        api->counts.rejected++;
        return refusal;
    }
    api->counts.accepted++;
    buf_append_char(answer, '{');
    entry_append(answer, &entry);
    buf_append_char(answer, '}');
    return refusal;
}

enum MHD_Result post_message_answer(struct request *request)
{
    return api_post(request, act);
}
