#include "handlers/event_limit.h"

#include "core/chat/client.h"
#include "handlers/events.h"
#include "handlers/limits.h"
#include "handlers/service.h"

enum { EXTRAS_MAX = 128 };

static void refuse(const struct event_call *call, const struct limited *limited)
{
    static const struct fault fault = {.code = FAULT_RATE_LIMITED,
                                       .message = "too often; try again later"};
    struct fault_extra extras[LIMITED_EXTRAS];
    struct buf scratch;
    buf_init(&scratch, EXTRAS_MAX);
    limited_extras(limited, &scratch, extras);
    event_refuse_with(call, &fault, extras, LIMITED_EXTRAS);
    buf_fini(&scratch);
    client_count_refusal(call->client);
}

bool event_limit_take(const struct event_call *call)
{
    char bytes[LIMITER_KEY_MAX];
    struct limits_answer answer;
    enum event_class class = call->event->class;
    if (class == EVENT_UNLIMITED)
        return true;
    struct slice key = limits_key(client_user_id(call->client), NULL, bytes);
    if (!limits_take(call->service->limits, class, key, call->received_ns, &answer)) {
        refuse(call, &answer.refused);
        return false;
    }
    if (answer.pause_ms != 0)
        client_hold(call->client, answer.pause_ms);
    return true;
}
