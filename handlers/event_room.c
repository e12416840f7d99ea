#include "handlers/event_room.h"

#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/bus/bus.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"
#include "core/presence/presence.h"
#include "handlers/events.h"
#include "handlers/rights.h"
#include "handlers/service.h"

enum {
    /* Six bytes an octet when it is escaped, and quotes. */
    RAW_MAX = ENVELOPE_REF_MAX * 6 + 2,
    /* Users that the reply to a join lists, and what they come to at most. */
    LISTED_MAX = 100,
    REPLY_MAX = 8 * ROOM_NAME_MAX + LISTED_MAX * 2048,
};

/* A change of membership on its way. */
struct change {
    struct loop_task task;
    struct bus_waiter waiter;
    struct presence_query query;
    struct buf users; /* JSON; of a join */
    struct service *service;
    struct client *client;
    struct seat *seat; /* to take or to vacate; NULL: nothing changes */
    bool joins;
    bool ref_given;
    size_t room_len, ref_len, id_len;
    char room[ROOM_NAME_MAX];
    char ref[RAW_MAX];
    char id[RAW_MAX];
};

static struct slice room_of(const struct change *change)
{
    return slice_of(change->room, change->room_len);
}

/* As much of the message as an answer to it needs. */
static void recall(const struct change *change, struct envelope *out)
{
    out->ref_given = change->ref_given;
    out->raw_ref = change->ref_len != 0 ? slice_of(change->ref, change->ref_len) : SLICE_NONE;
    out->raw_id = change->id_len != 0 ? slice_of(change->id, change->id_len) : SLICE_NONE;
}

/* --- the reply --- */

static void free_change(struct change *change)
{
    buf_fini(&change->users);
    mem_free(change);
}

static void reply(struct change *change)
{
    struct buf *scratch = &client_shard(change->client)->scratch;
    struct envelope taken;
    struct buf members;
    recall(change, &taken);
    if (!taken.ref_given)
        return;
    buf_init(&members, REPLY_MAX);
    buf_append_str(&members, ",\"room\":");
    json_append_string(&members, room_of(change));
    buf_printf(&members, ",\"members\":%zu",
               hub_count_members(change->service->hub, room_of(change)));
    if (change->joins) {
        buf_append_str(&members, ",\"presence\":[");
        buf_append_slice(&members, buf_slice(&change->users));
        buf_append_char(&members, ']');
    }
    buf_clear(scratch);
    envelope_append_reply(scratch, &taken, buf_slice(&members));
    if (scratch->err == ERR_OK && members.err == ERR_OK)
        client_reply(change->client, buf_slice(scratch));
    buf_fini(&members);
}

static void run_reply(struct loop_task *task, struct loop *loop)
{
    struct change *change = LIST_ENTRY(task, struct change, task);
    (void)loop;
    if (client_task_done(change->client))
        reply(change);
    free_change(change);
}

/* The presence thread. */
static void on_listed(struct presence_query *query, const struct presence_view *users,
                      size_t listed, size_t count)
{
    struct change *change = LIST_ENTRY(query, struct change, query);
    (void)count;
    for (size_t i = 0; i < listed; i++) {
        if (i != 0)
            buf_append_char(&change->users, ',');
        presence_append_user(&change->users, &users[i]);
    }
    change->task.run = run_reply;
    loop_post(client_shard(change->client)->loop, &change->task);
}

/* Who is there is asked first: behind the client's own coming, which presence was told of. */
static void begin_reply(struct change *change)
{
    if (!change->joins || !change->ref_given) {
        reply(change);
        free_change(change);
        return;
    }
    client_task_begin(change->client);
    change->query = (struct presence_query){.max = LISTED_MAX,
                                            .lingering = true,
                                            .done = on_listed,
                                            .room_len = (unsigned)change->room_len};
    memcpy(change->query.room, change->room, change->room_len);
    presence_ask(change->service->presence, &change->query);
}

static void run_subscribed(struct loop_task *task, struct loop *loop)
{
    struct change *change = LIST_ENTRY(task, struct change, task);
    (void)loop;
    if (client_task_done(change->client))
        begin_reply(change);
    else
        free_change(change);
}

/* The bus thread. */
static void on_subscribed(struct bus_waiter *waiter)
{
    struct change *change = LIST_ENTRY(waiter, struct change, waiter);
    change->task.run = run_subscribed;
    loop_post(client_shard(change->client)->loop, &change->task);
}

/* --- the change --- */

static const struct fault no_memory = {.code = FAULT_INTERNAL, .message = "out of memory"};

/* True: done. False: the client was told why not. */
static bool carry_out(struct change *change)
{
    if (change->seat == NULL)
        return true;
    if (!change->joins) {
        client_vacate(change->client, change->seat);
        return true;
    }
    if (client_take_seat(change->client, change->seat) == ERR_OK)
        return true;
    struct envelope failed;
    recall(change, &failed);
    event_send_error(change->client, &no_memory, &failed);
    return false;
}

static bool must_await(const struct change *change)
{
    const struct room *room = client_find_room(change->client, room_of(change));
    struct bus *bus = change->service->bus;
    return change->joins && room != NULL && bus != NULL && !atomic_load(&room->subscribed) &&
           bus_is_connected(bus);
}

static void run_change(struct loop_task *task, struct loop *loop)
{
    struct change *change = LIST_ENTRY(task, struct change, task);
    (void)loop;
    bool done = client_task_done(change->client) && carry_out(change);
    if (done && must_await(change)) {
        client_task_begin(change->client);
        change->waiter = (struct bus_waiter){.room = room_of(change), .done = on_subscribed};
        bus_await(change->service->bus, &change->waiter);
        return;
    }
    if (done)
        begin_reply(change);
    else
        free_change(change);
}

static size_t copy(char *out, size_t size, struct slice raw)
{
    if (raw.ptr == NULL || raw.len > size)
        return 0;
    memcpy(out, raw.ptr, raw.len);
    return raw.len;
}

/* The first step: from now on the client is a member or not. */
static enum err begin(const struct event_call *call, bool joins, struct seat **seat)
{
    *seat = NULL;
    if (!joins)
        return client_begin_leaving(call->client, call->room_name, seat);
    if (call->is_member)
        return ERR_OK;
    *seat = client_reserve_room(call->client, call->room_name);
    return *seat != NULL ? ERR_OK : ERR_NOMEM;
}

static void post(const struct event_call *call, bool joins)
{
    struct seat *seat = NULL;
    struct change *change = mem_try_alloc(sizeof *change);
    if (change == NULL || begin(call, joins, &seat) != ERR_OK) {
        mem_free(change);
        event_refuse(call, &no_memory);
        return;
    }
    *change = (struct change){.task.run = run_change,
                              .service = call->service,
                              .client = call->client,
                              .seat = seat,
                              .joins = joins,
                              .ref_given = call->envelope->ref_given};
    buf_init(&change->users, REPLY_MAX);
    change->room_len = copy(change->room, sizeof change->room, call->room_name);
    change->ref_len = copy(change->ref, sizeof change->ref, call->envelope->raw_ref);
    change->id_len = copy(change->id, sizeof change->id, call->envelope->raw_id);
    client_task_begin(call->client);
    loop_post(client_shard(call->client)->loop, &change->task);
}

static void take(const struct event_call *call, bool joins)
{
    struct fault fault = {
        .code = FAULT_INVALID_PAYLOAD, .message = "room must name the room", .field = "room"};
    if (call->envelope->target == ENVELOPE_ROOM)
        fault = rights_check_join(call->room_name, client_user(call->client),
                                  client_user_id(call->client), client_is_events(call->client));
    if (fault.code == FAULT_NONE && joins && !call->is_member &&
        client_room_count(call->client) >= call->service->max_rooms)
        fault = (struct fault){.code = FAULT_CHANNEL_ERROR,
                               .message = "the client is in as many rooms as it may be",
                               .field = "room"};
    if (fault.code != FAULT_NONE)
        event_refuse(call, &fault);
    else
        post(call, joins);
}

void event_room_join(const struct event_call *call)
{
    take(call, true);
}

void event_room_leave(const struct event_call *call)
{
    take(call, false);
}
