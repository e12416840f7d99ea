#include "handlers/event_presence.h"

#include "core/base/utf8.h"
#include "core/chat/client.h"
#include "core/chat/fields.h"
#include "core/presence/presence.h"
#include "handlers/event_message.h"
#include "handlers/events.h"
#include "handlers/rights.h"
#include "handlers/service.h"

static bool read_data(const struct event_call *call, struct field *fields, size_t count)
{
    struct slice data = call->envelope->data;
    return data.ptr != NULL && fields_read(data, fields, count) == ERR_OK;
}

static bool is_text(const struct field *field)
{
    if (field->kind == FIELD_ABSENT || field->kind == FIELD_NULL)
        return true;
    struct slice text = field_text(field);
    return field->kind == FIELD_STRING && text.len <= PRESENCE_TEXT_MAX &&
           !utf8_has_control(text.ptr, text.len);
}

static struct fault invalid(const char *message, const char *field)
{
    return (struct fault){.code = FAULT_INVALID_PAYLOAD, .message = message, .field = field};
}

/* Status and text together: without a text there is none any more. */
static struct fault update(const struct event_call *call)
{
    struct field fields[] = {{.name = "status"}, {.name = "text"}};
    const struct field *status = &fields[0], *text = &fields[1];
    enum presence_status chosen;
    if (!read_data(call, fields, 2) || status->kind != FIELD_STRING ||
        status->text_len > FIELD_TEXT_MAX || !presence_status_parse(field_text(status), &chosen))
        return invalid("data.status must be online, away, busy or offline", "data.status");
    if (!is_text(text))
        return invalid("data.text must be at most 140 bytes without control characters",
                       "data.text");
    presence_update(call->service->presence, client_data(call->client), chosen,
                    text->kind == FIELD_STRING ? field_text(text) : slice_of("", 0));
    return (struct fault){.code = FAULT_NONE};
}

void event_presence_update(const struct event_call *call)
{
    const struct fault fault = update(call);
    if (fault.code == FAULT_NONE)
        event_reply(call, slice_str(""));
    else
        event_refuse(call, &fault);
}

void event_presence_message(const struct event_call *call)
{
    (void)update(call);
    event_message_send(call);
}

/* Typing is shown to the whole room, and so is for those who may say something there. */
static struct fault check_typist(const struct event_call *call)
{
    if (call->room_name.ptr == NULL || !call->is_member)
        return (struct fault){.code = FAULT_CHANNEL_ERROR,
                              .message = "one types in a room that one is in",
                              .field = "room"};
    return rights_check_publish(call->room_name, client_user(call->client));
}

void event_user_typing(const struct event_call *call)
{
    struct field typing = {.name = "typing"};
    const struct fault fault = check_typist(call);
    if (fault.code != FAULT_NONE) {
        event_refuse(call, &fault);
        return;
    }
    if (!read_data(call, &typing, 1) || typing.kind != FIELD_BOOL) {
        event_refuse_data(call, "data.typing must be true or false", "data.typing");
        return;
    }
    presence_type(call->service->presence, client_data(call->client), client_id(call->client),
                  call->room_name, typing.truth);
    event_reply(call, slice_str(""));
}
