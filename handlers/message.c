#include "handlers/message.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/bus/bus.h"
#include "core/chat/client.h"
#include "core/chat/envelope.h"
#include "core/chat/hub.h"
#include "core/chat/message.h"
#include "core/chat/shard.h"
#include "handlers/service.h"

struct message_inbox {
    struct service *service;
    struct compressor compressor;
    struct buf scratch;
};

static void send_error(struct client *client, const struct fault *fault,
                       const struct envelope *failed)
{
    struct shard *shard = client_shard(client);
    counter_add(&shard->counters.errors_total[fault->code], 1);
    buf_clear(&shard->scratch);
    envelope_append_error(&shard->scratch, fault, failed);
    if (shard->scratch.err == ERR_OK)
        client_reply(client, buf_slice(&shard->scratch));
}

/* The room that the envelope is for: counted, NULL when it has no members on this pod. */
static struct room *find_target(struct service *service, struct client *client,
                                const struct envelope *envelope, struct slice *name)
{
    const struct room *home = client_home(client);
    *name = SLICE_NONE;
    if (envelope->target == ENVELOPE_GLOBAL ||
        (envelope->target == ENVELOPE_OWN_ROOM && home == NULL))
        return room_retain(hub_global(service->hub));
    *name = envelope->target == ENVELOPE_ROOM ? slice_of(envelope->room.bytes, envelope->room.len)
                                              : home->name;
    struct room *room = client_find_room(client, *name);
    return room != NULL ? room_retain(room) : hub_find_room(service->hub, *name);
}

static void publish(struct service *service, struct client *client, const struct envelope *envelope,
                    uint64_t received_ns)
{
    struct shard *shard = client_shard(client);
    struct slice name;
    struct room *room = find_target(service, client, envelope, &name);
    buf_clear(&shard->scratch);
    envelope_append(&shard->scratch, envelope, name, client_id(client));
    struct message *message =
        shard->scratch.err == ERR_OK
            ? message_try_create(WS_TEXT, buf_slice(&shard->scratch), received_ns)
            : NULL;
    if (message == NULL) {
        struct fault fault = {.code = FAULT_INTERNAL, .message = "out of memory"};
        send_error(client, &fault, envelope);
    } else {
        if (room != NULL) {
            hub_publish(service->hub, room, message, &shard->compressor);
            client_count_publish(client, room, shard->scratch.len);
        }
        if (service->bus != NULL)
            bus_publish(service->bus, name, message->plain, message->payload_at);
    }
    message_release(message);
    room_release(room);
}

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
        send_error(client, &fault, &envelope);
    else
        publish(service, client, &envelope, received_ns);
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

void message_from_bus(void *arg, struct slice room_name, struct slice payload, bool trusted)
{
    struct message_inbox *inbox = arg;
    struct hub *hub = inbox->service->hub;
    uint64_t received_ns = clock_monotonic_ns();
    struct room *room =
        room_name.ptr != NULL ? hub_find_room(hub, room_name) : room_retain(hub_global(hub));
    if (room == NULL)
        return; /* its last member has left, and Redis does not know yet */
    struct slice json = trusted ? payload : adopt(inbox, room_name, payload);
    struct message *message =
        json.ptr != NULL ? message_try_create(WS_TEXT, json, received_ns) : NULL;
    if (message != NULL)
        hub_publish(hub, room, message, &inbox->compressor);
    message_release(message);
    room_release(room);
}
