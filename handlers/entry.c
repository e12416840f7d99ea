#include "handlers/entry.h"

#include <microhttpd.h>

#include "core/base/clock.h"
#include "core/chat/hub.h"
#include "handlers/api.h"
#include "handlers/message.h"
#include "handlers/publish.h"
#include "handlers/service.h"
#include "handlers/targets.h"

/* What an envelope has besides its data, at the most that counts here. */
enum { ENVELOPE_BYTES = 512 };

static struct refusal invalid(const char *message, const char *field)
{
    return api_refuse(
        MHD_HTTP_BAD_REQUEST,
        (struct fault){.code = FAULT_INVALID_PAYLOAD, .message = message, .field = field});
}

void entry_budget_init(struct entry_budget *budget)
{
    *budget = (struct entry_budget){.publications = API_PUBLICATIONS_MAX,
                                    .bytes = API_PUBLISHED_BYTES_MAX};
}

static struct refusal aim_at_path(const struct envelope *envelope, struct slice path_room)
{
    struct slice room = slice_of(envelope->room.bytes, envelope->room.len);
    bool is_other = envelope->target == ENVELOPE_GLOBAL ||
                    (envelope->target == ENVELOPE_ROOM && !slice_equals(room, path_room));
    if (is_other)
        return invalid("path and body name different rooms", "room");
    if (envelope->rooms.ptr != NULL || envelope->users.ptr != NULL)
        return invalid("the path names the room; rooms and users are for /api/chat-api/messages",
                       envelope->rooms.ptr != NULL ? "rooms" : "users");
    return (struct refusal){0};
}

/* Who names a list means those in it, be there none: only without any is it for everybody. */
static struct refusal aim_at_list(struct api *api, struct entry *entry)
{
    const struct envelope *envelope = &entry->envelope;
    struct fault fault = {.code = FAULT_NONE};
    targets_clear(&api->targets);
    if (envelope->target == ENVELOPE_ROOM)
        return invalid("a message names its rooms in rooms, an array", "room");
    if (envelope->rooms.ptr == NULL && envelope->users.ptr == NULL) {
        entry->target = ENTRY_TO_ALL;
        return (struct refusal){0};
    }
    entry->target = ENTRY_TO_LIST;
    if (envelope->rooms.ptr != NULL)
        fault = targets_add_rooms(&api->targets, envelope->rooms);
    if (fault.code == FAULT_NONE && envelope->users.ptr != NULL)
        fault = targets_add_users(&api->targets, envelope->users);
    if (fault.code == FAULT_NONE)
        return (struct refusal){0};
    return api_refuse(MHD_HTTP_BAD_REQUEST, fault);
}

struct refusal entry_read(struct api *api, struct slice json, struct slice path_room,
                          struct entry *entry)
{
    struct fault fault;
    if (envelope_parse(json, ENVELOPE_OF_API, &entry->envelope, &fault) != ERR_OK)
        return api_refuse(MHD_HTTP_BAD_REQUEST, fault);
    entry->target = ENTRY_TO_PATH;
    entry->room = path_room;
    if (entry->envelope.data.ptr == NULL)
        return invalid("a message needs data", "data");
    return path_room.ptr != NULL ? aim_at_path(&entry->envelope, path_room)
                                 : aim_at_list(api, entry);
}

static struct refusal spend(struct entry_budget *budget, const struct entry *entry, size_t count)
{
    size_t bytes = count * (entry->envelope.data.len + ENVELOPE_BYTES);
    if (count > budget->publications || bytes > budget->bytes) {
        struct refusal refusal = invalid(
            "one request publishes at most 10000 messages and 64 MiB, each counted once for each "
            "room and user",
            NULL);
        refusal.status = MHD_HTTP_CONTENT_TOO_LARGE;
        return refusal;
    }
    budget->publications -= count;
    budget->bytes -= bytes;
    return (struct refusal){0};
}

static enum err publish_to(struct api *api, const struct entry *entry, struct slice name,
                           uint64_t received_ns)
{
    struct hub *hub = api->service->hub;
    struct publish_tools tools = {.compressor = &api->compressor, .scratch = &api->scratch};
    struct publication publication = {
        .envelope = &entry->envelope,
        .name = name,
        .room = name.ptr != NULL ? hub_find_room(hub, name) : room_retain(hub_global(hub)),
        .from = slice_str("server"),
        .received_ns = received_ns,
    };
    enum err err = publish(api->service, &publication, &tools);
    if (err == ERR_OK && publication.room != NULL)
        message_remember(api->service->window, name, buf_slice(&api->scratch));
    room_release(publication.room);
    return err;
}

struct refusal entry_publish(struct api *api, struct entry *entry, struct entry_budget *budget)
{
    bool has_list = entry->target == ENTRY_TO_LIST;
    size_t count = has_list ? api->targets.count : 1;
    uint64_t received_ns = clock_monotonic_ns();
    struct refusal refusal = spend(budget, entry, count);
    if (refusal.status != 0)
        return refusal;
    envelope_stamp(&entry->envelope);
    enum err err = ERR_OK;
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        struct slice name = has_list ? targets_at(&api->targets, i) : SLICE_NONE;
        if (entry->target == ENTRY_TO_PATH)
            name = entry->room;
        err = publish_to(api, entry, name, received_ns);
    }
    if (err == ERR_OK)
        return (struct refusal){0};
    return api_refuse(MHD_HTTP_INTERNAL_SERVER_ERROR,
                      (struct fault){.code = FAULT_INTERNAL, .message = "out of memory"});
}

void entry_append(struct buf *buf, const struct entry *entry)
{
    const struct envelope *envelope = &entry->envelope;
    buf_append_str(buf, "\"id\":\"");
    buf_append(buf, envelope->id.bytes, envelope->id.len);
    buf_append_str(buf, "\",\"timestamp\":\"");
    buf_append(buf, envelope->timestamp.bytes, envelope->timestamp.len);
    buf_append_char(buf, '"');
}
