#include "handlers/post_disconnect.h"

#include <string.h>

#include "core/base/json.h"
#include "core/base/log.h"
#include "core/chat/eviction.h"
#include "core/chat/json_read.h"
#include "core/ws/frame.h"
#include "handlers/api.h"
#include "handlers/control.h"
#include "handlers/request.h"
#include "handlers/service.h"

enum { CODE_DIGITS = 4, DEPTH_MAX = 64 };

/* The body: `{"code":4501,"reason":"…"}`, all of it optional. */
struct closing {
    unsigned code;
    size_t reason_len; /* bytes */
    char reason[WS_CLOSE_REASON_MAX];
    struct fault fault; /* the first one */
};

static struct fault invalid(const char *message, const char *field)
{
    return (struct fault){.code = FAULT_INVALID_PAYLOAD, .message = message, .field = field};
}

static struct fault take_code(struct closing *closing, const struct json_value *value)
{
    closing->code = 0;
    for (size_t i = 0; i < value->raw.len && value->raw.len == CODE_DIGITS; i++)
        if (value->kind == JSON_IS_NUMBER && value->raw.ptr[i] >= '0' && value->raw.ptr[i] <= '9')
            closing->code = closing->code * 10 + (unsigned)(value->raw.ptr[i] - '0');
    if (closing->code >= EVICTION_CODE_MIN && closing->code <= EVICTION_CODE_MAX)
        return (struct fault){.code = FAULT_NONE};
    return invalid("code must be a number from 4000 to 4999", "code");
}

static struct fault take_reason(struct closing *closing, const struct json_value *value)
{
    if (value->kind != JSON_IS_STRING || value->text.len > sizeof closing->reason)
        return invalid("reason must be a text of at most 123 bytes", "reason");
    closing->reason_len = value->text.len;
    memcpy(closing->reason, value->text.ptr, value->text.len);
    return (struct fault){.code = FAULT_NONE};
}

static void take_member(void *arg, struct slice name, const struct json_value *value)
{
    struct closing *closing = arg;
    struct fault fault = {.code = FAULT_NONE};
    if (slice_equals_str(name, "code"))
        fault = take_code(closing, value);
    else if (slice_equals_str(name, "reason"))
        fault = take_reason(closing, value);
    if (closing->fault.code == FAULT_NONE)
        closing->fault = fault;
}

static struct fault read_closing(struct slice body, struct closing *closing)
{
    static const char reason[] = "put out by the API";
    enum json_kind kind;
    *closing = (struct closing){.code = EVICTION_CODE, .reason_len = sizeof reason - 1};
    memcpy(closing->reason, reason, sizeof reason - 1);
    if (body.len == 0)
        return closing->fault;
    enum json_result result = json_read(body, DEPTH_MAX, take_member, closing, &kind);
    if (result == JSON_NO_MEMORY)
        return (struct fault){.code = FAULT_INTERNAL, .message = "out of memory"};
    if (result != JSON_OK || kind != JSON_IS_OBJECT)
        return invalid("a body must be a JSON object", NULL);
    if (json_has_lone_surrogate(body))
        return invalid("a string must not hold half of a surrogate pair", NULL);
    return closing->fault;
}

/* The rule of rooms' names, shorter: with its prefix the id is the name of the user's room. */
static struct refusal read_user(const struct request *request, char *bytes, struct slice *user)
{
    struct refusal refusal = api_decode_room(request, bytes, user);
    if (refusal.status == 0 && user->len <= TARGETS_USER_MAX)
        return refusal;
    return api_refuse(MHD_HTTP_BAD_REQUEST,
                      (struct fault){.code = FAULT_INVALID_PAYLOAD,
                                     .message = "a user's id has 1 to 123 bytes of UTF-8, no "
                                                "control characters, no slash",
                                     .field = "user"});
}

static struct refusal act(struct request *request, struct slice body, struct buf *answer)
{
    struct service *service = request->service;
    struct closing closing;
    char bytes[ROOM_NAME_MAX];
    struct slice user;
    struct refusal refusal = read_user(request, bytes, &user);
    if (refusal.status != 0)
        return refusal;
    struct fault fault = read_closing(body, &closing);
    if (fault.code != FAULT_NONE)
        return api_refuse(MHD_HTTP_BAD_REQUEST, fault);
    const struct eviction eviction = {.code = closing.code,
                                      .reason = slice_of(closing.reason, closing.reason_len)};
    eviction_of_user(service->hub, user, &eviction);
    control_tell_disconnect(service->control, user, &eviction);
    log_info("user:disconnected", log_user(user), log_uint("code", closing.code));
    buf_append_str(answer, "{\"user\":");
    json_append_string(answer, user);
    buf_append_char(answer, '}');
    return refusal;
}

enum MHD_Result post_disconnect_answer(struct request *request)
{
    return api_post(request, act);
}
