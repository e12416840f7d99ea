/*
 * One task for each loop that has members, which walks its own array from the end: taking the
 * member that it is at out of the array moves only what was walked already.
 */
#include "core/chat/eviction.h"

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/uuid.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"
#include "core/ws/frame.h"

struct evicting {
    struct loop_task task;
    struct shard *shard;
    struct room *room; /* counted; whose members are walked */
    void (*visit)(const struct evicting *evicting, struct client *client);
    unsigned code;
    unsigned reason_len; /* bytes */
    unsigned id_len;     /* bytes; 0: every member */
    char reason[WS_CLOSE_REASON_MAX];
    char id[UUID_TEXT_LEN]; /* of the one member that is meant */
};

static void run_evicting(struct loop_task *task, struct loop *loop)
{
    struct evicting *evicting = (struct evicting *)task;
    const struct room_part *part = &evicting->room->parts[evicting->shard->index];
    (void)loop;
    for (uint32_t i = part->count; i-- > 0;)
        evicting->visit(evicting, part->members[i].client);
    room_release(evicting->room);
    mem_free(evicting);
}

static void post(struct hub *hub, struct room *room, const struct evicting *how)
{
    for (unsigned i = 0; i < room->parts_count; i++) {
        if (atomic_load(&room->parts[i].joined) == 0)
            continue;
        struct evicting *evicting = mem_zalloc(sizeof *evicting);
        *evicting = *how;
        evicting->task = (struct loop_task){.run = run_evicting};
        evicting->shard = hub_shard(hub, i);
        evicting->room = room_retain(room);
        loop_post(evicting->shard->loop, &evicting->task);
    }
}

static struct evicting describe(const struct eviction *eviction)
{
    struct evicting how = {.code = eviction->code};
    size_t len = eviction->reason.len;
    how.reason_len = (unsigned)(len < sizeof how.reason ? len : sizeof how.reason);
    if (how.reason_len != 0)
        memcpy(how.reason, eviction->reason.ptr, how.reason_len);
    return how;
}

static void end(const struct evicting *evicting, struct client *client)
{
    client_end_saying(client, evicting->code, slice_of(evicting->reason, evicting->reason_len));
}

/* --- a room --- */

static void vacate(const struct evicting *evicting, struct client *client, struct seat *seat)
{
    log_info("room:put_out", log_user(client_user_id(client)), log_room(evicting->room->name),
             log_text("reason", slice_of(evicting->reason, evicting->reason_len)));
    client_vacate(client, seat);
}

static void put_out_of_room(const struct evicting *evicting, struct client *client)
{
    struct seat *seat = NULL;
    bool is_last = client_room_count(client) == 1;
    if (client_find_room(client, evicting->room->name) == NULL)
        return; /* is about to leave by itself */
    if ((is_last && !client_is_events(client)) ||
        client_begin_leaving(client, evicting->room->name, &seat) != ERR_OK)
        end(evicting, client);
    else if (seat != NULL)
        vacate(evicting, client, seat);
}

void eviction_of_room(struct hub *hub, struct slice name, const struct eviction *eviction)
{
    struct evicting how = describe(eviction);
    struct room *room = hub_find_room(hub, name);
    how.visit = put_out_of_room;
    if (room != NULL)
        post(hub, room, &how);
    room_release(room);
}

/* --- a user --- */

static void put_out(const struct evicting *evicting, struct client *client)
{
    if (evicting->id_len == 0 ||
        slice_equals(client_id(client), slice_of(evicting->id, evicting->id_len)))
        end(evicting, client);
}

static struct room *find_room_of(struct hub *hub, struct slice user)
{
    char bytes[ROOM_NAME_MAX];
    struct slice name = room_users_name(user, bytes);
    return name.ptr != NULL ? hub_find_room(hub, name) : NULL;
}

void eviction_of_user(struct hub *hub, struct slice user, const struct eviction *eviction)
{
    struct evicting how = describe(eviction);
    struct room *room = find_room_of(hub, user);
    how.visit = put_out;
    /* Without a room of its own it can only be a plain client that no token names. */
    if (room == NULL && user.len == UUID_TEXT_LEN) {
        how.id_len = UUID_TEXT_LEN;
        memcpy(how.id, user.ptr, UUID_TEXT_LEN);
        room = room_retain(hub_global(hub));
    }
    if (room != NULL)
        post(hub, room, &how);
    room_release(room);
}
