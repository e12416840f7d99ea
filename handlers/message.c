#include "handlers/message.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/bus/bus.h"
#include "core/chat/client.h"
#include "core/chat/envelope.h"
#include "core/chat/fields.h"
#include "core/chat/hub.h"
#include "core/chat/message.h"
#include "core/chat/window.h"
#include "core/presence/presence.h"
#include "handlers/events.h"
#include "handlers/service.h"
#include "handlers/status_news.h"

struct message_inbox {
    struct service *service;
    struct compressor compressor;
    struct buf scratch;
};

void message_from_client(void *arg, struct client *client, enum ws_opcode opcode,
                         struct slice payload)
{
    struct service *service = arg;
    struct envelope envelope;
    struct fault fault;
    uint64_t received_ns = clock_monotonic_ns();
    if (opcode != WS_TEXT)
        client_close(client, WS_CLOSE_UNSUPPORTED_DATA, "binary messages are not taken");
    else if (envelope_parse(payload, ENVELOPE_OF_CLIENT, &envelope, &fault) != ERR_OK)
        event_send_error(client, &fault, &envelope);
    else
        events_take(service, client, &envelope, received_ns);
}

/* --- from other pods and programs --- */

struct message_inbox *message_inbox_create(struct service *service)
{
    struct message_inbox *inbox = mem_zalloc(sizeof *inbox);
    inbox->service = service;
    compressor_init(&inbox->compressor);
    buf_init(&inbox->scratch, SIZE_MAX / 2);
    return inbox;
}

void message_inbox_destroy(struct message_inbox *inbox)
{
    if (inbox == NULL)
        return;
    compressor_fini(&inbox->compressor);
    buf_fini(&inbox->scratch);
    mem_free(inbox);
}

struct publish_tools message_inbox_tools(struct message_inbox *inbox)
{
    return (struct publish_tools){.compressor = &inbox->compressor, .scratch = &inbox->scratch};
}

/* Writes a program's message as clients get it; SLICE_NONE when it is none. */
static struct slice adopt(struct message_inbox *inbox, struct slice room, struct slice payload)
{
    struct envelope envelope;
    struct fault fault = {.message = "a message must be UTF-8"};
    if (!utf8_is_valid(payload.ptr, payload.len) ||
        envelope_parse(payload, ENVELOPE_OF_PROGRAM, &envelope, &fault) != ERR_OK) {
        bus_count_invalid(inbox->service->bus);
        log_warn("redis:invalid_payload", log_room(room), log_str("reason", fault.message),
                 log_uint("bytes", payload.len));
        return SLICE_NONE;
    }
    buf_clear(&inbox->scratch);
    envelope_append(&inbox->scratch, &envelope, room, slice_str("server"));
    return inbox->scratch.err == ERR_OK ? buf_slice(&inbox->scratch) : SLICE_NONE;
}

static struct slice text_slice(const struct envelope_text *text)
{
    return slice_of(text->bytes, text->len);
}

void message_remember(struct window *window, struct slice room, struct slice json)
{
    struct envelope_front front;
    struct field id = {.name = "id"};
    if (!envelope_read_front(json, &front) || !slice_equals_str(front.type, "chat"))
        return;
    struct slice sender = text_slice(&front.from);
    struct window_message sent = {
        .id = front.id, .room = room, .sender = sender, .content = front.data};
    if (!clock_parse_rfc3339(front.timestamp, &sent.timestamp_ms))
        sent.timestamp_ms = clock_wall_ms(); /* a program's, in another form */
    if (front.event.len == 0 || slice_equals_str(front.event, "message:send"))
        window_add(window, &sent);
    else if (slice_equals_str(front.event, "message:delete") &&
             fields_read(front.data, &id, 1) == ERR_OK && id.kind == FIELD_STRING &&
             uuid_is_valid(field_text(&id)))
        window_delete(window, field_text(&id), room, sender);
}

/* A group of events clients hears from pods only. */
static bool is_for_pods_alone(struct slice room_name)
{
    return room_name.ptr != NULL && room_name.ptr[0] == '/';
}

void message_from_bus(void *arg, struct slice room_name, struct slice payload, bool trusted)
{
    struct message_inbox *inbox = arg;
    struct hub *hub = inbox->service->hub;
    uint64_t received_ns = clock_monotonic_ns();
    if (!trusted && is_for_pods_alone(room_name)) {
        bus_count_invalid(inbox->service->bus);
        return;
    }
    if (is_for_pods_alone(room_name) && signal_is_presence(payload)) {
        presence_on_signal(inbox->service->presence, room_name, payload);
        return;
    }
    struct room *room =
        room_name.ptr != NULL ? hub_find_room(hub, room_name) : room_retain(hub_global(hub));
    if (room == NULL)
        return; /* its last member has left, and Redis does not know yet */
    struct slice json = trusted ? payload : adopt(inbox, room_name, payload);
    if (is_for_pods_alone(room_name))
        json = status_news(inbox->service->window, json, &inbox->scratch);
    struct message *message =
        json.ptr != NULL ? message_try_create(WS_TEXT, json, received_ns) : NULL;
    if (message != NULL) {
        message_remember(inbox->service->window, room_name, json);
        hub_publish(hub, room, message, &inbox->compressor);
    }
    message_release(message);
    room_release(room);
}
