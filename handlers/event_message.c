#include "handlers/event_message.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/chat/client.h"
#include "core/chat/fields.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"
#include "core/chat/window.h"
#include "core/presence/presence.h"
#include "handlers/events.h"
#include "handlers/publish.h"
#include "handlers/rights.h"
#include "handlers/service.h"

enum { MARKS_MAX = 100, REPLY_MAX = 128 };

static struct slice text_slice(const struct envelope_text *text)
{
    return slice_of(text->bytes, text->len);
}

/* --- publishing --- */

/* With authentication on, only members publish to a room. */
static bool may_publish(const struct event_call *call)
{
    struct fault fault = rights_check_publish(call->room_name, client_user(call->client));
    if (fault.code == FAULT_NONE && call->service->auth != NULL && !call->is_member)
        fault = (struct fault){.code = FAULT_CHANNEL_ERROR,
                               .message = "only members publish to this room",
                               .field = "room"};
    if (fault.code != FAULT_NONE)
        event_refuse(call, &fault);
    return fault.code == FAULT_NONE;
}

/* Gives the message to the room; false: the sender was told that there is no memory. */
static bool pass_on(const struct event_call *call)
{
    struct shard *shard = client_shard(call->client);
    const struct publish_tools tools = {.compressor = &shard->compressor,
                                        .scratch = &shard->scratch};
    const struct publication publication = {.envelope = call->envelope,
                                            .name = call->room_name,
                                            .room = call->room,
                                            .from = client_user_id(call->client),
                                            .heavy = client_is_heavy(call->client),
                                            .received_ns = call->received_ns};
    if (publish(call->service, &publication, &tools) != ERR_OK) {
        const struct fault fault = {.code = FAULT_INTERNAL, .message = "out of memory"};
        event_refuse(call, &fault);
        return false;
    }
    if (call->room != NULL)
        client_count_publish(call->client, call->room, shard->scratch.len);
    return true;
}

/* For who asked. Most did not, and writing it costs a tenth of a message. */
static void reply_sent(const struct event_call *call, bool duplicate)
{
    char bytes[REPLY_MAX];
    if (!call->envelope->ref_given)
        return;
    struct slice id = text_slice(&call->envelope->id);
    struct slice timestamp = text_slice(&call->envelope->timestamp);
    int len =
        snprintf(bytes, sizeof bytes, ",\"id\":\"%.*s\",\"timestamp\":\"%.*s\"%s", (int)id.len,
                 id.ptr, (int)timestamp.len, timestamp.ptr, duplicate ? ",\"duplicate\":true" : "");
    event_reply(call, slice_of(bytes, (size_t)len));
}

static void set_timestamp(struct envelope *envelope, uint64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(wall_ms, text);
    memcpy(envelope->timestamp.bytes, text, sizeof text - 1);
    envelope->timestamp.len = sizeof text - 1;
}

/* Remembers the message; false: it was sent before, and the sender has its answer. */
static bool remember(const struct event_call *call, uint64_t wall_ms, bool named)
{
    struct window *window = call->service->window;
    const struct envelope *envelope = call->envelope;
    uint64_t first_ms;
    struct window_message message = {.id = text_slice(&envelope->id),
                                     .room = call->room_name,
                                     .sender = client_user_id(call->client),
                                     .timestamp_ms = wall_ms};
    if (!named) {
        window_add(window, &message);
        return true;
    }
    message.content = envelope->data.ptr != NULL ? envelope->data : slice_str("{}");
    switch (window_claim(window, &message, &first_ms)) {
    case WINDOW_NEW:
        return true;
    case WINDOW_DUPLICATE:
        set_timestamp(call->envelope, first_ms);
        reply_sent(call, true);
        return false;
    case WINDOW_CONFLICT:
        break;
    }
    event_refuse_data(call, "this id was sent before with other content", "id");
    return false;
}

void event_message_send(const struct event_call *call)
{
    struct envelope *envelope = call->envelope;
    bool named = envelope->id.len != 0;
    uint64_t wall_ms = clock_wall_ms();
    if (!may_publish(call))
        return;
    set_timestamp(envelope, wall_ms);
    envelope_stamp(envelope);
    if (envelope->type == ENVELOPE_CHAT && !remember(call, wall_ms, named))
        return;
    if (!pass_on(call))
        return;
    reply_sent(call, false);
    /* Behind the message, so that nobody sees a moment in which the user neither types nor wrote.
     */
    if (call->room_name.ptr != NULL && envelope->type == ENVELOPE_CHAT)
        presence_message(call->service->presence, client_data(call->client), call->room_name);
}

/* --- edit and delete --- */

/* Whether the sender may change that message. What is too old to be known is passed on: clients
 * compare the sender (EVENTS: events). */
static bool may_change(const struct event_call *call, struct slice id)
{
    static const char *const reasons[] = {
        [WINDOW_NOT_OWN] = "this message is another user's",
        [WINDOW_OTHER_ROOM] = "this message is of another room",
        [WINDOW_DELETED] = "this message was deleted",
    };
    enum window_owner owner = window_check_owner(call->service->window, id, call->room_name,
                                                 client_user_id(call->client));
    if (owner == WINDOW_UNKNOWN || owner == WINDOW_OWN)
        return true;
    const struct fault fault = {
        .code = FAULT_CHANNEL_ERROR, .message = reasons[owner], .field = "data.id"};
    event_refuse(call, &fault);
    return false;
}

/* Passes a change on; true: it went out. */
static bool change(const struct event_call *call, struct field *fields, size_t count,
                   const char *form)
{
    struct field *id = &fields[0];
    if (!may_publish(call))
        return false;
    bool good = call->envelope->data.ptr != NULL &&
                fields_read(call->envelope->data, fields, count) == ERR_OK &&
                id->kind == FIELD_STRING && uuid_is_valid(field_text(id));
    for (size_t i = 1; i < count; i++)
        good = good && fields[i].kind != FIELD_ABSENT;
    if (!good) {
        event_refuse_data(call, form, "data");
        return false;
    }
    if (!may_change(call, field_text(id)))
        return false;
    envelope_stamp(call->envelope);
    if (!pass_on(call))
        return false;
    reply_sent(call, false);
    return true;
}

void event_message_edit(const struct event_call *call)
{
    struct field fields[] = {{.name = "id"}, {.name = "data"}};
    (void)change(call, fields, 2, "data must have the message's id, a UUID, and its new data");
}

void event_message_delete(const struct event_call *call)
{
    struct field fields[] = {{.name = "id"}};
    if (change(call, fields, 1, "data must have the message's id, a UUID"))
        window_delete(call->service->window, field_text(&fields[0]), call->room_name,
                      client_user_id(call->client));
}

/* --- marks --- */

struct mark {
    char id[UUID_TEXT_LEN];
    struct window_sender sender;
};

struct marks {
    const struct event_call *call;
    bool read;
    size_t seen;  /* ids that came */
    size_t count; /* of them, news */
    struct mark list[MARKS_MAX];
};

static bool take_id(void *arg, const struct field *element)
{
    struct marks *marks = arg;
    const struct event_call *call = marks->call;
    struct mark *mark = &marks->list[marks->count];
    if (element->kind != FIELD_STRING || !uuid_is_valid(field_text(element)) ||
        ++marks->seen > MARKS_MAX)
        return false;
    memcpy(mark->id, element->text, UUID_TEXT_LEN);
    const struct window_mark news = {.id = field_text(element),
                                     .room = call->room_name,
                                     .user = client_user_id(call->client),
                                     .read = marks->read};
    if (window_add_mark(call->service->window, &news, &mark->sender))
        marks->count++;
    return true;
}

static struct slice sender_of(const struct mark *mark)
{
    return slice_of(mark->sender.bytes, mark->sender.len);
}

/* Tells one sender, in its own room, of all its messages that stand from `first` on, and takes them
 * off the list. */
static void tell_sender(struct marks *marks, size_t first)
{
    const struct event_call *call = marks->call;
    struct shard *shard = client_shard(call->client);
    struct buf *json = &shard->scratch;
    const struct window_sender sender = marks->list[first].sender;
    struct slice name = slice_of(sender.bytes, sender.len);
    char own_room[ROOM_NAME_MAX];
    size_t left = first;
    bool any = false;
    buf_clear(json);
    envelope_begin_server(json, ENVELOPE_CHAT, "message:status", room_users_name(name, own_room));
    buf_append_str(json, "{\"ids\":[");
    for (size_t i = first; i < marks->count; i++) {
        if (!slice_equals(sender_of(&marks->list[i]), name)) {
            marks->list[left++] = marks->list[i];
            continue;
        }
        buf_printf(json, "%s\"%.*s\"", any ? "," : "", UUID_TEXT_LEN, marks->list[i].id);
        any = true;
    }
    marks->count = left;
    buf_printf(json, "],\"status\":\"%s\",\"user\":", marks->read ? "read" : "delivered");
    json_append_string(json, client_user_id(call->client));
    if (call->room_name.ptr != NULL) {
        buf_append_str(json, ",\"room\":");
        json_append_string(json, call->room_name);
    }
    buf_append_char(json, '}');
    envelope_end_server(json);
    const struct publish_tools tools = {.compressor = &shard->compressor, .scratch = json};
    publish_to_user(call->service, name, call->received_ns, &tools);
}

static void take_marks(const struct event_call *call, bool read)
{
    struct marks marks = {.call = call, .read = read};
    struct field ids = {.name = "ids"};
    if (!call->is_member) {
        const struct fault fault = {.code = FAULT_CHANNEL_ERROR,
                                    .message = "only members of the room mark its messages",
                                    .field = "room"};
        event_refuse(call, &fault);
        return;
    }
    if (call->envelope->data.ptr == NULL || fields_read(call->envelope->data, &ids, 1) != ERR_OK ||
        fields_read_array(ids.raw, take_id, &marks) != ERR_OK) {
        event_refuse_data(call, "data.ids must be an array of at most 100 UUIDs", "data.ids");
        return;
    }
    while (marks.count != 0)
        tell_sender(&marks, 0);
    event_reply(call, slice_str(""));
}

void event_message_delivered(const struct event_call *call)
{
    take_marks(call, false);
}

void event_message_read(const struct event_call *call)
{
    take_marks(call, true);
}
