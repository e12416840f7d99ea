#include "handlers/events.h"

#include <assert.h>

#include "core/base/log.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"
#include "handlers/event_auth.h"
#include "handlers/event_limit.h"
#include "handlers/event_message.h"
#include "handlers/event_presence.h"
#include "handlers/event_room.h"
#include "handlers/event_session.h"
#include "handlers/rights.h"
#include "handlers/service.h"

#define SENT    "id, timestamp"                     /* the reply to what was passed on */
#define PRESENT "user, name, status, text, clients" /* about a user in a room */

const struct event events_table[] = {
    {"message:send", ENVELOPE_CHAT, EVENT_MESSAGES, EVENT_ANYTHING, EVENT_ANYTHING,
     SENT ", duplicate?", event_message_send},
    {"message:edit", ENVELOPE_CHAT, EVENT_MESSAGES, "id, data", "id, data", SENT,
     event_message_edit},
    {"message:delete", ENVELOPE_CHAT, EVENT_MESSAGES, "id", "id", SENT, event_message_delete},
    {"message:delivered", ENVELOPE_CHAT, EVENT_MESSAGES, "ids", NULL, "", event_message_delivered},
    {"message:read", ENVELOPE_CHAT, EVENT_MESSAGES, "ids", NULL, "", event_message_read},
    {"notification:send", ENVELOPE_NOTIFICATION, EVENT_MESSAGES, EVENT_ANYTHING, EVENT_ANYTHING,
     SENT, event_message_send},
    {"system:send", ENVELOPE_SYSTEM, EVENT_MESSAGES, EVENT_ANYTHING, EVENT_ANYTHING, SENT,
     event_message_send},
    {"user:typing", ENVELOPE_PRESENCE, EVENT_TYPING, "typing", "user, typing", "",
     event_user_typing},
    {"presence:update", ENVELOPE_PRESENCE, EVENT_PRESENCE, "status, text?", PRESENT, "",
     event_presence_update},
    {"room:join", ENVELOPE_SYSTEM, EVENT_PRESENCE, "", NULL, "room, members, presence",
     event_room_join},
    {"room:leave", ENVELOPE_SYSTEM, EVENT_PRESENCE, "", NULL, "room, members, presence",
     event_room_leave},
    {"auth:refresh", ENVELOPE_SYSTEM, EVENT_UNLIMITED, "token", NULL, "expires_at",
     event_auth_refresh},
    {"ping", ENVELOPE_SYSTEM, EVENT_UNLIMITED, EVENT_ANYTHING, NULL, "time", event_ping},
    {"hello", ENVELOPE_SYSTEM, EVENT_UNLIMITED, NULL,
     "client_id, user, pod, heartbeat_ms, max_message_bytes, max_rooms, server_time, version", NULL,
     NULL},
    {"presence:join", ENVELOPE_PRESENCE, EVENT_UNLIMITED, NULL, PRESENT, NULL, NULL},
    {"presence:leave", ENVELOPE_PRESENCE, EVENT_UNLIMITED, NULL, PRESENT, NULL, NULL},
    {"message:status", ENVELOPE_CHAT, EVENT_UNLIMITED, NULL, "ids, status, user, room?", NULL,
     NULL},
    {"channel:activity", ENVELOPE_NOTIFICATION, EVENT_UNLIMITED, NULL, EVENT_ANYTHING, NULL, NULL},
    {"auth:expiring", ENVELOPE_SYSTEM, EVENT_UNLIMITED, NULL, "expires_at", NULL, NULL},
    {"system:degraded", ENVELOPE_SYSTEM, EVENT_UNLIMITED, NULL, "reason", NULL, NULL},
    {"system:restored", ENVELOPE_SYSTEM, EVENT_UNLIMITED, NULL, "reason", NULL, NULL},
    {"reply", ENVELOPE_SYSTEM, EVENT_UNLIMITED, NULL, "ref?, status", NULL, NULL},
    {"error", ENVELOPE_SYSTEM, EVENT_UNLIMITED, NULL, "status, code, message, data?", NULL, NULL},
    {.name = NULL},
};

const char *event_class_name(enum event_class class)
{
    static const char *const names[EVENT_CLASSES] = {
        [EVENT_MESSAGES] = "messages",
        [EVENT_TYPING] = "typing",
        [EVENT_PRESENCE] = "presence",
    };
    return names[class];
}

/* What a message without an event is. */
static const char *const event_of_type[ENVELOPE_TYPES] = {
    [ENVELOPE_CHAT] = "message:send",
    [ENVELOPE_PRESENCE] = "presence:update",
    [ENVELOPE_NOTIFICATION] = "notification:send",
    [ENVELOPE_SYSTEM] = "system:send",
};

static const struct event presence_message = {.name = "presence",
                                              .type = ENVELOPE_PRESENCE,
                                              .class = EVENT_PRESENCE,
                                              .handle = event_presence_message};

const struct event *events_find(struct slice name)
{
    for (const struct event *event = events_table; event->name != NULL; event++)
        if (slice_equals_str(name, event->name))
            return event;
    return NULL;
}

/* --- answers --- */

/* A peer may have as many refused as it likes: of each loop the log tells of so many. */
static bool may_log_refusal(struct shard *shard)
{
    static const struct limit lines = {.count = 10, .period_ms = 1000};
    uint64_t retry_after_ms, now_ns = loop_now_ms(shard->loop) * 1000000;
    return bucket_take(&shard->refused_lines, &lines, now_ns, &retry_after_ms);
}

/* Whose message was refused, and where it was meant to go as far as that could be read. */
static void log_refusal(const struct client *client, const struct fault *fault,
                        const struct envelope *failed)
{
    struct slice room = slice_of(failed->room.bytes, failed->room.len);
    const struct room *home = client_home(client);
    if (failed->target != ENVELOPE_ROOM)
        room = failed->target == ENVELOPE_OWN_ROOM && home != NULL ? home->name : SLICE_NONE;
    log_info("message:refused", log_user(client_user_id(client)), log_room(room),
             log_str("code", fault_code_name(fault->code)), log_str("reason", fault->message));
}

static void send_error(struct client *client, const struct fault *fault,
                       const struct envelope *failed, const struct fault_extra *extras,
                       size_t extras_count)
{
    struct shard *shard = client_shard(client);
    counter_add(&shard->counters.errors_total[fault->code], 1);
    client_count_refused(client);
    /* Those over a limit are logged by handlers/limits.h, one for many. */
    if (fault->code != FAULT_RATE_LIMITED && may_log_refusal(shard))
        log_refusal(client, fault, failed);
    buf_clear(&shard->scratch);
    envelope_append_error_with(&shard->scratch, fault, failed, extras, extras_count);
    if (shard->scratch.err == ERR_OK)
        client_reply(client, buf_slice(&shard->scratch));
}

void event_send_error(struct client *client, const struct fault *fault,
                      const struct envelope *failed)
{
    send_error(client, fault, failed, NULL, 0);
}

void event_refuse(const struct event_call *call, const struct fault *fault)
{
    event_send_error(call->client, fault, call->envelope);
}

void event_refuse_with(const struct event_call *call, const struct fault *fault,
                       const struct fault_extra *extras, size_t extras_count)
{
    send_error(call->client, fault, call->envelope, extras, extras_count);
}

void event_refuse_data(const struct event_call *call, const char *message, const char *field)
{
    const struct fault fault = {.code = FAULT_INVALID_PAYLOAD, .message = message, .field = field};
    event_refuse(call, &fault);
}

void event_reply(const struct event_call *call, struct slice members)
{
    struct buf *scratch = &client_shard(call->client)->scratch;
    if (!call->envelope->ref_given)
        return;
    buf_clear(scratch);
    envelope_append_reply(scratch, call->envelope, members);
    if (scratch->err == ERR_OK)
        client_reply(call->client, buf_slice(scratch));
}

/* --- dispatch --- */

/* The row that is meant; NULL, with the fault, when there is none. */
static const struct event *choose(const struct client *client, struct envelope *envelope,
                                  struct fault *fault)
{
    const struct envelope_text *name = &envelope->event;
    const struct event *event = &presence_message;
    *fault = (struct fault){.code = FAULT_INVALID_PAYLOAD};
    if (name->len != 0) {
        event = events_find(slice_of(name->bytes, name->len));
        fault->message = "there is no such event for clients to send";
        fault->field = "event";
        if (event == NULL || event->handle == NULL)
            return NULL;
    } else if (envelope->type != ENVELOPE_PRESENCE || client_is_events(client)) {
        event = events_find(slice_str(event_of_type[envelope->type]));
        assert(event != NULL);
    }
    fault->message = "type is not the one of this event";
    fault->field = "type";
    if (envelope->type_given && envelope->type != event->type)
        return NULL;
    envelope->type = event->type;
    return event;
}

/* Finds where the message goes: its room is counted for the caller. */
static void find_target(struct event_call *call)
{
    struct hub *hub = call->service->hub;
    const struct envelope *envelope = call->envelope;
    const struct room *home = client_home(call->client);
    call->room_name = SLICE_NONE;
    if (envelope->target == ENVELOPE_ROOM)
        call->room_name = slice_of(envelope->room.bytes, envelope->room.len);
    else if (envelope->target == ENVELOPE_OWN_ROOM && home != NULL)
        call->room_name = home->name;
    call->room = call->room_name.ptr != NULL ? client_find_room(call->client, call->room_name)
                                             : hub_global(hub);
    call->is_member = call->room != NULL;
    if (call->is_member)
        room_retain(call->room);
    else
        call->room = hub_find_room(hub, call->room_name);
}

void events_take(struct service *service, struct client *client, struct envelope *envelope,
                 uint64_t received_ns)
{
    struct fault fault;
    struct event_call call = {.service = service,
                              .client = client,
                              .envelope = envelope,
                              .received_ns = received_ns,
                              .event = choose(client, envelope, &fault)};
    if (call.event == NULL) {
        event_send_error(client, &fault, envelope);
        return;
    }
    if (service->limits != NULL && !event_limit_take(&call))
        return;
    find_target(&call);
    call.event->handle(&call);
    room_release(call.room);
}
