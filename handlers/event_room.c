#include "handlers/event_room.h"

#include <string.h>

#include "core/base/fault.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/bus/bus.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"
#include "core/presence/presence.h"
#include "handlers/events.h"
#include "handlers/rights.h"
#include "handlers/room_refused.h"
#include "handlers/service.h"

enum {
    /* Six bytes an octet when it is escaped, and quotes. */
    RAW_MAX = ENVELOPE_REF_MAX * 6 + 2,
    /* Users that the reply to a join lists, and what they come to at most. */
    LISTED_MAX = 100,
    REPLY_MAX = 8 * ROOM_NAME_MAX + LISTED_MAX * 2048,
};

enum change_kind { JOIN, LEAVE, PUT_OUT, REFUSED };

/* A change of membership on its way. */
struct change {
    struct loop_task task;
    struct bus_waiter waiter;
    struct presence_query query;
    struct buf users; /* JSON */
    size_t members;   /* on all pods, as presence knows them */
    struct service *service;
    struct client *client;
    struct seat *seat; /* to take or to vacate; NULL: nothing changes */
    enum change_kind kind;
    bool ref_given;
    bool is_open; /* the client may know who is in the room */
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
    out->target = ENVELOPE_ROOM;
    out->room.len = (unsigned)change->room_len;
    memcpy(out->room.bytes, change->room, change->room_len);
    out->ref_given = change->ref_given;
    out->raw_ref = change->ref_len != 0 ? slice_of(change->ref, change->ref_len) : SLICE_NONE;
    out->raw_id = change->id_len != 0 ? slice_of(change->id, change->id_len) : SLICE_NONE;
}

/* --- the reply --- */

/* In the room of all presence lists everybody, members or not. */
static size_t count_members(const struct change *change)
{
    size_t here = hub_count_members(change->service->hub, room_of(change));
    if (slice_equals_str(room_of(change), PRESENCE_GLOBAL) || change->members < here)
        return here;
    return change->members;
}

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
    buf_printf(&members, ",\"members\":%zu,\"presence\":[",
               change->is_open ? count_members(change) : 0);
    buf_append_slice(&members, buf_slice(&change->users));
    buf_append_char(&members, ']');
    buf_clear(scratch);
    envelope_append_reply(scratch, &taken, buf_slice(&members));
    if (scratch->err == ERR_OK && members.err == ERR_OK)
        client_reply_now(change->client, buf_slice(scratch)); /* then what changes since */
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
    change->members = query->clients;
    for (size_t i = 0; i < listed; i++) {
        if (i != 0)
            buf_append_char(&change->users, ',');
        presence_append_user(&change->users, &users[i]);
    }
    change->task.run = run_reply;
    loop_post(client_shard(change->client)->loop, &change->task);
}

/* Who is there is asked first: behind the client's own coming or going, which presence was told
 * of. Who leaves is not told any more of those whose leave is still to come. */
static void begin_reply(struct change *change)
{
    if (!change->is_open || !change->ref_given) {
        reply(change);
        free_change(change);
        return;
    }
    client_task_begin(change->client);
    change->query = (struct presence_query){.max = LISTED_MAX,
                                            .lingering = change->kind == JOIN,
                                            .done = on_listed,
                                            .room_len = (unsigned)change->room_len};
    memcpy(change->query.room, change->room, change->room_len);
    presence_ask(change->service->presence, &change->query);
}

/* Behind the last that it got of the room. */
static void tell_put_out(struct change *change)
{
    static const struct fault fault = {.code = FAULT_CHANNEL_ERROR,
                                       .message = "the new token does not allow this room",
                                       .field = "room"};
    struct shard *shard = client_shard(change->client);
    struct buf *json = &shard->scratch;
    counter_add(&shard->counters.errors_total[fault.code], 1);
    buf_clear(json);
    envelope_begin_server(json, ENVELOPE_SYSTEM, "error", room_of(change));
    fault_append_json(json, &fault, NULL, 0);
    envelope_end_server(json);
    if (json->err == ERR_OK)
        client_reply(change->client, buf_slice(json));
    free_change(change);
}

/* --- the change --- */

static const struct fault no_memory = {.code = FAULT_INTERNAL, .message = "out of memory"};

static void log_change(const struct change *change)
{
    struct log_field user = log_user(client_user_id(change->client));
    struct log_field room = log_room(room_of(change));
    if (change->kind == JOIN)
        log_info("room:joined", user, room);
    else if (change->kind == LEAVE)
        log_info("room:left", user, room);
    else if (change->kind == PUT_OUT)
        log_info("room:put_out", user, room, log_str("reason", "the new token does not allow it"));
    else
        log_info("room:put_out", user, room, log_str("reason", room_refused_fault.message));
}

/* True: done. False: the client was told why not. */
static bool carry_out(struct change *change)
{
    if (change->seat == NULL)
        return true;
    bool done = change->kind != JOIN;
    if (done)
        client_vacate(change->client, change->seat);
    else
        done = client_take_seat(change->client, change->seat) == ERR_OK;
    if (done) {
        log_change(change);
        return true;
    }
    struct envelope failed;
    recall(change, &failed);
    event_send_error(change->client, &no_memory, &failed);
    return false;
}

static void tell_refused(struct change *change)
{
    struct envelope failed;
    recall(change, &failed);
    event_send_error(change->client, &room_refused_fault, &failed);
    free_change(change);
}

static void run_change(struct loop_task *task, struct loop *loop);

/* Leaves again, in the two steps of whoever leaves: the client may have left meanwhile, and have
 * asked for the room anew. Who was a member before it asked stays one. */
static void undo_join(struct change *change)
{
    bool has_joined = change->seat != NULL;
    change->kind = REFUSED;
    change->seat = NULL;
    if (has_joined &&
        client_begin_leaving(change->client, room_of(change), &change->seat) != ERR_OK)
        client_close(change->client, WS_CLOSE_INTERNAL, no_memory.message);
    change->task.run = run_change;
    client_task_begin(change->client);
    loop_post(client_shard(change->client)->loop, &change->task);
}

static void run_awaited(struct loop_task *task, struct loop *loop)
{
    struct change *change = LIST_ENTRY(task, struct change, task);
    (void)loop;
    if (!client_task_done(change->client))
        free_change(change);
    else if (change->waiter.refused)
        undo_join(change);
    else
        begin_reply(change);
}

/* The bus thread. */
static void on_awaited(struct bus_waiter *waiter)
{
    struct change *change = LIST_ENTRY(waiter, struct change, waiter);
    change->task.run = run_awaited;
    loop_post(client_shard(change->client)->loop, &change->task);
}

static bool must_await(const struct change *change)
{
    const struct room *room = client_find_room(change->client, room_of(change));
    struct bus *bus = change->service->bus;
    return change->kind == JOIN && room != NULL && bus != NULL && !atomic_load(&room->subscribed) &&
           bus_is_connected(bus);
}

static void run_change(struct loop_task *task, struct loop *loop)
{
    struct change *change = LIST_ENTRY(task, struct change, task);
    (void)loop;
    bool done = client_task_done(change->client) && carry_out(change);
    if (done && must_await(change)) {
        client_task_begin(change->client);
        change->waiter = (struct bus_waiter){.room = room_of(change), .done = on_awaited};
        bus_await(change->service->bus, &change->waiter);
        return;
    }
    if (done && change->kind == PUT_OUT)
        tell_put_out(change);
    else if (done && change->kind == REFUSED)
        tell_refused(change);
    else if (done)
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
static enum err begin(const struct event_call *call, enum change_kind kind, struct seat **seat)
{
    *seat = NULL;
    if (kind != JOIN)
        return client_begin_leaving(call->client, call->room_name, seat);
    if (call->is_member)
        return ERR_OK;
    *seat = client_reserve_room(call->client, call->room_name);
    return *seat != NULL ? ERR_OK : ERR_NOMEM;
}

static struct fault rights_of(const struct event_call *call)
{
    return rights_check_join(call->room_name, client_user(call->client),
                             client_user_id(call->client), client_is_events(call->client));
}

static enum err post(const struct event_call *call, enum change_kind kind)
{
    struct seat *seat = NULL;
    struct change *change = mem_try_alloc(sizeof *change);
    if (change == NULL || begin(call, kind, &seat) != ERR_OK) {
        mem_free(change);
        return ERR_NOMEM;
    }
    *change = (struct change){.task.run = run_change,
                              .service = call->service,
                              .client = call->client,
                              .seat = seat,
                              .kind = kind,
                              .ref_given = call->envelope->ref_given,
                              .is_open = rights_of(call).code == FAULT_NONE};
    buf_init(&change->users, REPLY_MAX);
    change->room_len = copy(change->room, sizeof change->room, call->room_name);
    change->ref_len = copy(change->ref, sizeof change->ref, call->envelope->raw_ref);
    change->id_len = copy(change->id, sizeof change->id, call->envelope->raw_id);
    client_task_begin(call->client);
    loop_post(client_shard(call->client)->loop, &change->task);
    return ERR_OK;
}

static struct fault check_join(const struct event_call *call)
{
    struct fault fault = rights_of(call);
    if (fault.code == FAULT_NONE && !call->is_member &&
        client_room_count(call->client) >= call->service->max_rooms)
        fault = (struct fault){.code = FAULT_CHANNEL_ERROR,
                               .message = "the client is in as many rooms as it may be",
                               .field = "room"};
    return fault;
}

/* Everybody may leave any other room, even one that it was not let into. */
static struct fault check_leave(const struct event_call *call)
{
    return rights_check_leave(call->room_name, client_user(call->client),
                              client_user_id(call->client), client_is_events(call->client));
}

static void take(const struct event_call *call, enum change_kind kind)
{
    struct fault fault = {
        .code = FAULT_INVALID_PAYLOAD, .message = "room must name the room", .field = "room"};
    if (call->envelope->target == ENVELOPE_ROOM)
        fault = kind == JOIN ? check_join(call) : check_leave(call);
    if (fault.code == FAULT_NONE && post(call, kind) != ERR_OK)
        fault = no_memory;
    if (fault.code != FAULT_NONE)
        event_refuse(call, &fault);
}

void event_room_join(const struct event_call *call)
{
    take(call, JOIN);
}

void event_room_leave(const struct event_call *call)
{
    take(call, LEAVE);
}

bool event_room_put_out(struct service *service, struct client *client, struct slice room)
{
    struct envelope none = {.ref_given = false};
    const struct event_call call = {
        .service = service, .client = client, .envelope = &none, .room_name = room};
    if (post(&call, PUT_OUT) == ERR_OK)
        return true;
    client_close(client, WS_CLOSE_INTERNAL, "out of memory");
    return false;
}
