/*
 * The thread: small tasks come in from loops and bus, each is a few steps in the state machines,
 * and the end of the turn does what time asks for and sends what was gathered.
 */
#include "core/presence/presence.h"

#include <limits.h>
#include <semaphore.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/presence/inside.h"

enum {
    SCAN_PARTS = 16, /* so often within PRESENCE_AWAY clients are looked at */
    SCAN_MIN_MS = 50,
    SCAN_MAX_MS = 15000,
    GATHER_MS = 3, /* a storm of comings and goings wakes the thread no more often */
};

/* One of these for whatever happens; the texts stand behind it. */
struct event {
    struct loop_task task;
    struct presence *presence;
    void (*run)(struct presence *presence, const struct event *event);
    struct presence_client *client;
    enum presence_status status;
    bool flag;
    struct slice first, second;
    char bytes[];
};

static struct roster_time now(const struct presence *presence)
{
    return presence_now(presence, clock_wall_ms());
}

/* --- what clients are told --- */

static void append_who(struct buf *buf, const struct presence_view *view)
{
    buf_append_str(buf, "{\"user\":");
    json_append_string(buf, view->user);
    buf_append_str(buf, ",\"name\":");
    if (view->name.ptr != NULL)
        json_append_string(buf, view->name);
    else
        buf_append_str(buf, "null");
    buf_printf(buf, ",\"status\":\"%s\",\"text\":", presence_status_name(view->status));
    json_append_string(buf, view->text);
    buf_printf(buf, ",\"clients\":%u", view->clients);
}

void presence_append_user(struct buf *buf, const struct presence_view *view)
{
    char since[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(view->since_ms, since);
    append_who(buf, view);
    buf_printf(buf, ",\"since\":\"%s\"}", since);
}

static void on_tell(void *arg, struct replica *replica, enum replica_event event,
                    const struct presence_view *view)
{
    static const char *const names[] = {
        [REPLICA_JOIN] = "presence:join",
        [REPLICA_LEAVE] = "presence:leave",
        [REPLICA_UPDATE] = "presence:update",
    };
    struct presence *presence = arg;
    struct presence_view shown = *view;
    const char *name = names[event];
    if (slice_equals_str(replica->name, PRESENCE_GLOBAL)) {
        /* There it is about being online or not, and nothing else. */
        if (event == REPLICA_UPDATE)
            return;
        shown.status = event == REPLICA_JOIN ? PRESENCE_ONLINE : PRESENCE_OFFLINE;
        name = names[REPLICA_UPDATE];
    }
    struct buf data;
    buf_init(&data, SIZE_MAX / 2);
    append_who(&data, &shown);
    buf_append_char(&data, '}');
    const struct presence_tell tell = {
        .event = name, .room = replica->name, .data = buf_slice(&data)};
    if (data.err == ERR_OK)
        presence->opts.tell(presence->opts.arg, &tell);
    buf_fini(&data);
    atomic_fetch_add_explicit(&presence->told_total[event], 1, memory_order_relaxed);
}

static void tell_typing(struct presence *presence, const struct typing_word *word)
{
    struct buf data;
    buf_init(&data, SIZE_MAX / 2);
    buf_append_str(&data, "{\"user\":");
    json_append_string(&data, word->user);
    buf_append_str(&data, word->typing ? ",\"typing\":true}" : ",\"typing\":false}");
    const struct presence_tell tell = {.event = "user:typing",
                                       .room = word->room,
                                       .data = buf_slice(&data),
                                       .is_droppable = true,
                                       .except = word->client};
    if (data.err == ERR_OK)
        presence->opts.tell(presence->opts.arg, &tell);
    buf_fini(&data);
    atomic_fetch_add_explicit(&presence->typing_total, 1, memory_order_relaxed);
}

static void on_typing(void *arg, const struct typing_word *word)
{
    struct presence *presence = arg;
    tell_typing(presence, word);
    if (!word->heard)
        announce_typing(presence, word->room, word->user, word->typing);
}

static void on_watch(void *arg, struct slice user, bool wanted)
{
    struct presence *presence = arg;
    char group[PRESENCE_USER_MAX + 8];
    buf_clear(&presence->scratch);
    if (user.len > PRESENCE_USER_MAX)
        return;
    memcpy(group, "/user:", 6);
    memcpy(group + 6, user.ptr, user.len);
    presence->opts.watch(presence->opts.arg, slice_of(group, user.len + 6), wanted);
}

/* --- events --- */

static void run_event(struct loop_task *task, struct loop *loop)
{
    struct event *event = (struct event *)task;
    (void)loop;
    event->run(event->presence, event);
    mem_free(event);
}

static void copy_into(struct event *event, struct slice *to, size_t at, struct slice from)
{
    *to = SLICE_NONE;
    if (from.ptr == NULL)
        return;
    memcpy(event->bytes + at, from.ptr, from.len);
    *to = slice_of(event->bytes + at, from.len);
}

/* Posts a copy of `like`, its texts included. */
static void post(struct presence *presence, const struct event *like)
{
    struct event *event = mem_zalloc(sizeof *event + like->first.len + like->second.len + 1);
    *event = *like;
    event->task = (struct loop_task){.run = run_event};
    event->presence = presence;
    copy_into(event, &event->first, 0, like->first);
    copy_into(event, &event->second, like->first.len, like->second);
    loop_post(presence->loop, &event->task);
}

static void run_arrive(struct presence *presence, const struct event *event)
{
    roster_add(&presence->roster, event->client, now(presence));
}

struct presence_client *presence_arrive(struct presence *presence,
                                        const struct roster_newcomer *newcomer)
{
    struct presence_client *client =
        roster_make_client(&presence->roster, newcomer, clock_monotonic_ms());
    post(presence, &(struct event){.run = run_arrive, .client = client});
    return client;
}

static void forget_room(struct presence *presence, struct roster_room *room)
{
    if (room->events == 0 && room->replica != NULL)
        load_untrack(presence, room);
    if (room != presence->global && !list_has_link(&room->dirty))
        roster_forget_room(&presence->roster, room);
}

static void run_enter(struct presence *presence, const struct event *event)
{
    struct roster_room *room = roster_need_room(&presence->roster, event->first);
    if (room == NULL) {
        log_error("presence:no_memory", log_room(event->first));
        return;
    }
    if (event->client->events && room->replica == NULL)
        load_track(presence, room);
    if (roster_enter(&presence->roster, event->client, room, now(presence)) != ERR_OK)
        log_error("presence:no_memory", log_room(event->first));
    forget_room(presence, room);
}

void presence_enter(struct presence *presence, struct presence_client *client, struct slice room)
{
    post(presence, &(struct event){.run = run_enter, .client = client, .first = room});
}

static void run_leave(struct presence *presence, const struct event *event)
{
    struct roster_room *room = roster_find_room(&presence->roster, event->first);
    char scratch[UUID_TEXT_LEN];
    if (room == NULL)
        return;
    typing_end(&presence->typing, event->first,
               roster_user_id(roster_user_of(event->client), scratch), event->second,
               loop_now_ms(presence->loop));
    roster_leave(&presence->roster, event->client, room);
    forget_room(presence, room);
}

void presence_leave(struct presence *presence, struct presence_client *client, struct slice room,
                    struct slice id)
{
    post(presence,
         &(struct event){.run = run_leave, .client = client, .first = room, .second = id});
}

static void run_depart(struct presence *presence, const struct event *event)
{
    roster_remove(&presence->roster, event->client, now(presence));
}

void presence_depart(struct presence *presence, struct presence_client *client)
{
    post(presence, &(struct event){.run = run_depart, .client = client});
}

static void run_wake(struct presence *presence, const struct event *event)
{
    roster_wake(&presence->roster, event->client, now(presence));
}

void presence_wake(struct presence *presence, struct presence_client *client)
{
    /* Once for each time that it fell silent. */
    if (atomic_exchange(&client->away, false))
        post(presence, &(struct event){.run = run_wake, .client = client});
}

/* Before the user is gone to others: the end of its typing later on would be a sign of life. */
static void end_typing_everywhere(struct presence *presence, const struct roster_user *user)
{
    char scratch[UUID_TEXT_LEN];
    struct slice id = roster_user_id(user, scratch);
    for (const struct roster_seat *seat = user->seats; seat != NULL; seat = seat->next)
        typing_end(&presence->typing, roster_room_name(seat->room), id, SLICE_NONE,
                   loop_now_ms(presence->loop));
}

static void run_update(struct presence *presence, const struct event *event)
{
    if (event->status == PRESENCE_OFFLINE)
        end_typing_everywhere(presence, roster_user_of(event->client));
    roster_choose(&presence->roster, event->client, event->status, event->first, now(presence));
}

void presence_update(struct presence *presence, struct presence_client *client,
                     enum presence_status status, struct slice text)
{
    post(presence,
         &(struct event){.run = run_update, .client = client, .status = status, .first = text});
}

static void run_rename(struct presence *presence, const struct event *event)
{
    roster_rename(&presence->roster, event->client, event->first, now(presence));
}

void presence_rename(struct presence *presence, struct presence_client *client, struct slice name)
{
    post(presence, &(struct event){.run = run_rename, .client = client, .first = name});
}

static void run_type(struct presence *presence, const struct event *event)
{
    const struct roster_user *user = roster_user_of(event->client);
    char scratch[UUID_TEXT_LEN];
    struct slice id = roster_user_id(user, scratch);
    uint64_t now_ms = loop_now_ms(presence->loop);
    if (!event->flag) {
        typing_end(&presence->typing, event->first, id, SLICE_NONE, now_ms);
    } else if (roster_is_visible(user)) { /* who is invisible gives no sign of life */
        roster_note_typing(event->client);
        typing_begin(&presence->typing, event->first, id, event->second, now_ms);
    }
}

void presence_type(struct presence *presence, struct presence_client *client, struct slice id,
                   struct slice room, bool typing)
{
    if (typing) /* here, too, so that a message right behind it is not overlooked */
        atomic_store_explicit(&client->typing, true, memory_order_relaxed);
    post(presence,
         &(struct event){
             .run = run_type, .client = client, .flag = typing, .first = room, .second = id});
}

static void run_message(struct presence *presence, const struct event *event)
{
    char scratch[UUID_TEXT_LEN];
    const struct roster_user *user = roster_user_of(event->client);
    struct slice id = roster_user_id(user, scratch);
    (void)typing_end(&presence->typing, event->first, id, SLICE_NONE, loop_now_ms(presence->loop));
    for (const struct roster_seat *seat = user->seats; seat != NULL; seat = seat->next)
        if (typing_is_active(&presence->typing, roster_room_name(seat->room), id)) {
            atomic_store(&event->client->typing, true); /* its next message is looked at, too */
            return;
        }
}

void presence_message(struct presence *presence, struct presence_client *client, struct slice room)
{
    if (!atomic_load_explicit(&client->typing, memory_order_relaxed))
        return;
    atomic_store_explicit(&client->typing, false, memory_order_relaxed);
    post(presence, &(struct event){.run = run_message, .client = client, .first = room});
}

/* --- the bus --- */

static void run_commands(struct presence *presence, const struct event *event)
{
    announce_commands(presence, event->flag);
}

void presence_on_commands(struct presence *presence, bool taken)
{
    post(presence, &(struct event){.run = run_commands, .flag = taken});
}

static void run_subscribed(struct presence *presence, const struct event *event)
{
    struct roster_room *room = roster_find_room(&presence->roster, slice_skip(event->first, 1));
    if (room != NULL)
        load_subscribed(presence, room);
    roster_ask(&presence->roster, slice_skip(event->first, 1));
}

void presence_on_subscribed(struct presence *presence, struct slice group)
{
    if (group.len > 1 && group.ptr[0] == '/')
        post(presence, &(struct event){.run = run_subscribed, .first = group});
}

struct signal {
    struct presence *presence;
    struct slice room;
};

static struct lease *hear_lease(struct presence *presence, struct slice id)
{
    struct lease *lease = leases_get(&presence->leases, id);
    lease->is_known = true;
    return lease;
}

static void on_set(void *arg, struct slice id, struct slice user, const struct record *record)
{
    const struct signal *signal = arg;
    struct presence *presence = signal->presence;
    const struct roster_room *room = roster_find_room(&presence->roster, signal->room);
    if (room == NULL || room->replica == NULL)
        return;
    struct lease *lease = hear_lease(presence, id);
    replica_apply(room->replica, lease, user, record, loop_now_ms(presence->loop));
    leases_put(&presence->leases, lease);
}

static void on_note(void *arg, struct slice id, const struct note *note)
{
    const struct signal *signal = arg;
    struct presence *presence = signal->presence;
    size_t prefix = strlen("user:");
    if (signal->room.len <= prefix)
        return;
    struct lease *lease = hear_lease(presence, id);
    roster_take_note(&presence->roster, slice_skip(signal->room, prefix), lease, note,
                     now(presence));
    leases_put(&presence->leases, lease);
}

static void on_typing_signal(void *arg, struct slice user, bool typing)
{
    const struct signal *signal = arg;
    struct presence *presence = signal->presence;
    const struct roster_room *room = roster_find_room(&presence->roster, signal->room);
    if (room == NULL || room->replica == NULL)
        return;
    typing_hear(&presence->typing, signal->room, user, typing, loop_now_ms(presence->loop));
    if (typing)
        roster_note_typing_of(&presence->roster, user);
}

static void run_signal(struct presence *presence, const struct event *event)
{
    struct signal signal = {.presence = presence, .room = slice_skip(event->first, 1)};
    const struct signal_handlers handlers = {
        .arg = &signal, .on_set = on_set, .on_note = on_note, .on_typing = on_typing_signal};
    if (!signal_read(event->second, &handlers))
        log_warn("presence:invalid_signal", log_room(signal.room));
}

void presence_on_signal(struct presence *presence, struct slice group, struct slice payload)
{
    if (group.len > 1)
        post(presence, &(struct event){.run = run_signal, .first = group, .second = payload});
}

/* --- queries --- */

static void run_query(struct loop_task *task, struct loop *loop)
{
    struct presence_query *query = LIST_ENTRY(task, struct presence_query, task);
    query->link = (struct list_link){0};
    query->due_ms = loop_now_ms(loop) + PRESENCE_QUERY_MS;
    load_query(query->presence, query);
}

void presence_ask(struct presence *presence, struct presence_query *query)
{
    query->presence = presence;
    query->task = (struct loop_task){.run = run_query};
    loop_post(presence->loop, &query->task);
}

/* --- the turn --- */

static uint64_t scan_interval_ms(const struct presence *presence)
{
    uint64_t interval_ms = presence->opts.away_ms / SCAN_PARTS;
    if (interval_ms < SCAN_MIN_MS)
        return SCAN_MIN_MS;
    return interval_ms < SCAN_MAX_MS ? interval_ms : SCAN_MAX_MS;
}

static void scan(struct presence *presence, uint64_t now_ms)
{
    size_t parts = presence->roster.count / ROSTER_SCAN_MAX + 1;
    if (now_ms < presence->scan_ms)
        return;
    presence->scan_ms = now_ms + scan_interval_ms(presence) / parts;
    roster_scan(&presence->roster, now(presence));
}

static int on_turn_end(void *arg)
{
    struct presence *presence = arg;
    uint64_t now_ms = loop_now_ms(presence->loop);
    scan(presence, now_ms);
    replicas_expire(&presence->replicas, now_ms);
    roster_expire(&presence->roster, now(presence));
    typing_expire(&presence->typing, now_ms);
    atomic_store_explicit(&presence->typists, presence->typing.active_count, memory_order_relaxed);
    load_turn(presence, now_ms);
    announce_turn(presence, now_ms);
    const uint64_t due_ms[] = {presence->scan_ms,
                               replicas_next_ms(&presence->replicas),
                               roster_next_ms(&presence->roster),
                               typing_next_ms(&presence->typing),
                               load_next_ms(presence),
                               announce_next_ms(presence)};
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; i < sizeof due_ms / sizeof *due_ms; i++)
        if (due_ms[i] < next_ms)
            next_ms = due_ms[i];
    if (next_ms <= now_ms)
        return 0;
    return next_ms - now_ms < INT_MAX ? (int)(next_ms - now_ms) : -1;
}

static void on_events(void *arg, struct loop_source *source, uint32_t events)
{
    (void)arg;
    (void)source;
    (void)events;
}

/* --- beginning and end --- */

static void init_parts(struct presence *presence)
{
    const struct roster_opts roster = {.away_ms = presence->opts.away_ms,
                                       .grace_ms = presence->opts.grace_ms,
                                       .leases = &presence->leases,
                                       .arg = presence,
                                       .changed = announce_changed,
                                       .note = announce_note,
                                       .watch = on_watch};
    leases_init(&presence->leases);
    replicas_init(&presence->replicas, &presence->leases, presence->opts.grace_ms);
    presence->replicas.arg = presence;
    presence->replicas.tell = on_tell;
    roster_init(&presence->roster, &roster);
    typing_init(&presence->typing, presence, on_typing);
    buf_init(&presence->scratch, SIZE_MAX / 2);
    list_init(&presence->loads);
    list_init(&presence->queries);
    announce_init(presence);
}

enum err presence_create(const struct presence_opts *opts, struct presence **out)
{
    struct presence *presence = mem_zalloc(sizeof *presence);
    *out = NULL;
    presence->opts = *opts;
    init_parts(presence);
    presence->global = roster_need_room(&presence->roster, slice_str(PRESENCE_GLOBAL));
    enum err err = presence->global != NULL ? ERR_OK : ERR_NOMEM;
    if (err == ERR_OK)
        err = loop_create(&(struct loop_opts){.name = "presence",
                                              .arg = presence,
                                              .on_events = on_events,
                                              .on_turn_end = on_turn_end,
                                              .gather_ms = GATHER_MS},
                          &presence->loop);
    if (err != ERR_OK) {
        presence_destroy(presence);
        return err;
    }
    *out = presence;
    return ERR_OK;
}

void presence_use_bus(struct presence *presence, struct bus *bus)
{
    presence->bus = bus;
}

enum err presence_start(struct presence *presence)
{
    return loop_start(presence->loop);
}

struct leave_task {
    struct loop_task task;
    struct presence *presence;
    sem_t done;
};

static void run_leave_all(struct loop_task *task, struct loop *loop)
{
    struct leave_task *leave = (struct leave_task *)task;
    (void)loop;
    announce_leave(leave->presence);
    load_abandon(leave->presence);
    sem_post(&leave->done);
}

void presence_leave_all(struct presence *presence)
{
    struct leave_task leave = {.task.run = run_leave_all, .presence = presence};
    sem_init(&leave.done, 0, 0);
    loop_post(presence->loop, &leave.task);
    while (sem_wait(&leave.done) != 0)
        continue; /* a signal */
    sem_destroy(&leave.done);
}

void presence_stop(struct presence *presence)
{
    loop_stop(presence->loop);
}

void presence_destroy(struct presence *presence)
{
    size_t at = 0;
    if (presence == NULL)
        return;
    for (struct roster_room *room; (room = map_next(&presence->roster.rooms, &at)) != NULL;)
        if (room->replica != NULL)
            load_untrack(presence, room);
    loop_destroy(presence->loop);
    roster_fini(&presence->roster);
    typing_fini(&presence->typing);
    leases_put(&presence->leases, presence->self);
    leases_fini(&presence->leases);
    buf_fini(&presence->scratch);
    mem_free(presence);
}

void presence_get_stats(struct presence *presence, struct presence_stats *out)
{
    *out = (struct presence_stats){
        .joins_total = atomic_load(&presence->told_total[REPLICA_JOIN]),
        .leaves_total = atomic_load(&presence->told_total[REPLICA_LEAVE]),
        .updates_total = atomic_load(&presence->told_total[REPLICA_UPDATE]),
        .typing_total = atomic_load(&presence->typing_total),
        .pods_gone_total = atomic_load(&presence->pods_gone_total),
        .rooms = atomic_load(&presence->rooms),
        .typists = atomic_load(&presence->typists),
    };
}
