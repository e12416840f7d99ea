#include "handlers/presence.h"

#include "core/auth/user.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/chat/client.h"
#include "core/chat/envelope.h"
#include "core/chat/hub.h"
#include "core/chat/message.h"
#include "core/chat/shard.h"
#include "core/presence/presence.h"
#include "handlers/service.h"

struct presence_voice {
    struct service *service;
    struct compressor compressor;
    struct buf scratch;
};

struct presence_voice *presence_voice_create(struct service *service)
{
    struct presence_voice *voice = mem_zalloc(sizeof *voice);
    voice->service = service;
    compressor_init(&voice->compressor);
    buf_init(&voice->scratch, SIZE_MAX / 2);
    return voice;
}

void presence_voice_destroy(struct presence_voice *voice)
{
    if (voice == NULL)
        return;
    compressor_fini(&voice->compressor);
    buf_fini(&voice->scratch);
    mem_free(voice);
}

static struct message *compose(struct presence_voice *voice, const struct presence_tell *tell)
{
    struct slice event = slice_str(tell->event);
    struct envelope envelope = {.type = ENVELOPE_PRESENCE, .data = tell->data};
    memcpy(envelope.event.bytes, event.ptr, event.len);
    envelope.event.len = (unsigned)event.len;
    buf_clear(&voice->scratch);
    envelope_append(&voice->scratch, &envelope, tell->room, slice_str("server"));
    if (voice->scratch.err != ERR_OK)
        return NULL;
    return message_try_create(WS_TEXT, buf_slice(&voice->scratch), clock_monotonic_ns());
}

void presence_voice_tell(void *arg, const struct presence_tell *tell)
{
    struct presence_voice *voice = arg;
    struct hub *hub = voice->service->hub;
    char name[ROOM_KEY_MAX];
    struct room *group = hub_find_room(hub, room_events_name(tell->room, name));
    if (group == NULL)
        return; /* the last one who would be told has left */
    struct message *message = compose(voice, tell);
    if (message == NULL)
        log_error("presence:no_memory", log_room(tell->room));
    else if (tell->is_droppable)
        hub_publish_passing(hub, group, message, tell->except);
    else
        hub_publish(hub, group, message, &voice->compressor);
    message_release(message);
    room_release(group);
}

void presence_voice_watch(void *arg, struct slice group, bool wanted)
{
    struct presence_voice *voice = arg;
    if (voice->service->bus == NULL)
        return; /* there are no other pods to hear */
    if (!wanted)
        hub_unwatch(voice->service->hub, group);
    else if (hub_watch(voice->service->hub, group) != ERR_OK)
        log_error("presence:no_memory", log_room(group));
}

static void arrive(struct service *service, struct client *client)
{
    const struct user *user = client_user(client);
    const struct roster_newcomer newcomer = {.id = client_id(client),
                                             .user = user != NULL ? user->id : SLICE_NONE,
                                             .name = user != NULL ? user->name : SLICE_NONE,
                                             .events = client_is_events(client)};
    client_set_data(client, presence_arrive(service->presence, &newcomer));
}

void presence_on_member(struct service *service, struct client *client, struct slice room,
                        bool joined)
{
    struct presence *presence = service->presence;
    struct presence_client *record = client_data(client);
    if (room.ptr == NULL && joined)
        arrive(service, client);
    else if (room.ptr == NULL)
        presence_depart(presence, record);
    else if (joined)
        presence_enter(presence, record, room);
    else
        presence_leave(presence, record, room, client_id(client));
}

void presence_on_activity(struct service *service, struct client *client)
{
    struct presence_client *record = client_data(client);
    if (record != NULL)
        presence_touch(service->presence, record, loop_now_ms(client_shard(client)->loop));
}
