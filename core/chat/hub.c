/*
 * One lock over the directory. A publisher needs it only to find a room by name: a client holds a
 * pointer to its own, and whether a loop has members is an atomic count in the room.
 */
#include "core/chat/hub.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/lock.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/chat/client.h"
#include "core/chat/client_io.h"
#include "core/chat/message.h"
#include "core/chat/room_pick.h"
#include "core/chat/shard.h"

struct hub {
    /* Fixed at the start: no lock. */
    struct hub_opts opts;
    struct shard **shards;
    struct room *global;

    atomic_size_t connections;
    atomic_size_t slots;
    atomic_uint next_loop; /* for rooms and for clients without one */
    atomic_bool draining;

    struct lock lock;
    struct map rooms GUARDED_BY(lock);     /* struct room by name, a count each */
    size_t members GUARDED_BY(lock);       /* of all rooms that are not hidden */
    size_t hidden GUARDED_BY(lock);        /* rooms that are */
    struct list interest GUARDED_BY(lock); /* rooms whose first member came or last one went */

    struct lock drain_lock;
    pthread_cond_t drained;
};

enum { ANY_LOOP = UINT_MAX };

/* One message on its way to one loop. */
struct delivery {
    struct loop_task task;
    struct shard *shard;
    struct room *room;       /* counted */
    struct message *message; /* counted */
};

struct passing {
    struct delivery delivery;
    size_t except_len; /* 0: nobody */
    char except[UUID_TEXT_LEN];
};

/* The same, for events clients. */
struct announcement {
    struct loop_task task;
    struct shard *shard;
    struct message *message; /* counted */
    bool stands;
};

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attr);
    pthread_condattr_destroy(&attr);
}

enum err hub_create(const struct hub_opts *opts, struct hub **out)
{
    struct hub *hub = mem_zalloc(sizeof *hub);
    *out = NULL;
    hub->opts = *opts;
    lock_init(&hub->lock);
    lock_init(&hub->drain_lock);
    init_condition(&hub->drained);
    map_init(&hub->rooms);
    list_init(&hub->interest);
    hub->shards = mem_zalloc(opts->loops * sizeof(struct shard *));
    hub->global = room_try_create(SLICE_NONE, opts->loops);
    enum err err = hub->global != NULL ? ERR_OK : ERR_NOMEM;
    for (unsigned i = 0; i < opts->loops && err == ERR_OK; i++)
        err = shard_create(hub, i, &hub->shards[i]);
    if (err != ERR_OK) {
        hub_destroy(hub);
        return err;
    }
    *out = hub;
    return ERR_OK;
}

enum err hub_start(struct hub *hub)
{
    for (unsigned i = 0; i < hub->opts.loops; i++)
        if (loop_start(hub->shards[i]->loop) != ERR_OK)
            return ERR_SYSTEM;
    return ERR_OK;
}

void hub_destroy(struct hub *hub)
{
    if (hub == NULL)
        return;
    for (unsigned i = 0; i < hub->opts.loops; i++)
        shard_destroy(hub->shards[i]);
    mem_free(hub->shards);
    for (struct list_link *link; (link = list_pop_front(&hub->interest)) != NULL;)
        room_release(LIST_ENTRY(link, struct room, interest));
    assert(hub->rooms.count == 0);
    map_fini(&hub->rooms);
    room_release(hub->global);
    pthread_cond_destroy(&hub->drained);
    lock_fini(&hub->drain_lock);
    lock_fini(&hub->lock);
    mem_free(hub);
}

/* --- start and stop --- */

typedef void shard_fn(struct shard *shard);

struct shard_call {
    struct loop_task task;
    struct shard *shard;
    shard_fn *call;
};

static void run_shard_call(struct loop_task *task, struct loop *loop)
{
    struct shard_call *call = (struct shard_call *)task;
    (void)loop;
    call->call(call->shard);
    mem_free(call);
}

static void call_on_all(struct hub *hub, shard_fn *fn)
{
    for (unsigned i = 0; i < hub->opts.loops; i++) {
        struct shard_call *call = mem_zalloc(sizeof *call);
        *call =
            (struct shard_call){.task.run = run_shard_call, .shard = hub->shards[i], .call = fn};
        loop_post(hub->shards[i]->loop, &call->task);
    }
}

size_t hub_drain(struct hub *hub, uint64_t deadline_ms)
{
    atomic_store(&hub->draining, true);
    call_on_all(hub, shard_close_all);
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ms / 1000),
                                .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    lock_acquire(&hub->drain_lock);
    int result = 0;
    while (atomic_load(&hub->slots) != 0 && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&hub->drained, &hub->drain_lock.mutex, &deadline);
    lock_release(&hub->drain_lock);
    return atomic_load(&hub->slots);
}

void hub_stop(struct hub *hub)
{
    atomic_store(&hub->draining, true);
    call_on_all(hub, shard_drop_all);
    for (unsigned i = 0; i < hub->opts.loops; i++)
        loop_stop(hub->shards[i]->loop);
}

const struct hub_opts *hub_opts(const struct hub *hub)
{
    return &hub->opts;
}

struct shard *hub_shard(struct hub *hub, unsigned i)
{
    return hub->shards[i];
}

bool hub_is_draining(const struct hub *hub)
{
    return atomic_load_explicit(&hub->draining, memory_order_relaxed);
}

bool hub_is_overloaded(const struct hub *hub, unsigned except_loop)
{
    for (unsigned i = 0; i < hub->opts.loops; i++)
        if (i != except_loop && loop_pending(hub->shards[i]->loop) > SHARD_PENDING_MAX)
            return true;
    return false;
}

/* --- members --- */

/* Notes that the room got its first or lost its last member. True: on_interest must be called. */
static bool note_interest_locked(struct hub *hub, struct room *room) REQUIRES(hub->lock)
{
    if (hub->opts.on_interest == NULL || list_has_link(&room->interest))
        return false;
    list_push_back(&hub->interest, &room_retain(room)->interest);
    return true;
}

static struct room *find_or_make_locked(struct hub *hub, struct slice name) REQUIRES(hub->lock)
{
    struct room *room = map_get(&hub->rooms, name);
    if (room != NULL)
        return room;
    room = room_try_create(name, hub->opts.loops);
    if (room != NULL && map_add(&hub->rooms, room->name, room) != ERR_OK) {
        room_release(room);
        room = NULL;
    }
    if (room != NULL && room->hidden)
        hub->hidden++;
    return room;
}

static void count_in(struct room *room, unsigned loop, bool deflate)
{
    atomic_fetch_add(&room->parts[loop].joined, 1);
    if (deflate)
        atomic_fetch_add(&room->parts[loop].deflaters, 1);
}

/*
 * The loop of a room's next member: a small room stays on one loop, so that a message wakes no
 * other one for it; a large one is spread evenly.
 */
static unsigned pick_loop_locked(struct hub *hub, struct room *room) REQUIRES(hub->lock)
{
    if (room->total == 0)
        room->home = atomic_fetch_add(&hub->next_loop, 1);
    return (room->home + room->total / ROOM_MEMBERS_TOGETHER) % hub->opts.loops;
}

/* Counts a member in that is to come on `*loop`; ANY_LOOP: which one is chosen here. */
static enum err enter_room(struct hub *hub, struct slice name, bool deflate,
                           struct membership *membership, unsigned *loop)
{
    lock_acquire(&hub->lock);
    struct room *room = find_or_make_locked(hub, name);
    bool changed = false;
    if (room != NULL) {
        if (*loop == ANY_LOOP)
            *loop = pick_loop_locked(hub, room);
        else if (room->total == 0)
            room->home = *loop;
        *membership = (struct membership){.room = room_retain(room), .index = MEMBERSHIP_OUT};
        count_in(room, *loop, deflate);
        hub->members += !room->hidden;
        changed = ++room->total == 1 && note_interest_locked(hub, room);
    }
    lock_release(&hub->lock);
    if (changed)
        hub->opts.on_interest(hub->opts.arg);
    return room != NULL ? ERR_OK : ERR_NOMEM;
}

enum err hub_enter(struct hub *hub, struct slice name, unsigned loop, bool deflate,
                   struct membership *membership)
{
    return enter_room(hub, name, deflate, membership, &loop);
}

/* Ends a membership that no loop counts, or none any more. */
static void give_back(struct hub *hub, struct membership *membership)
{
    struct room *room = membership->room;
    bool changed = false, last = false;
    membership->room = NULL;
    if (room != hub->global) {
        lock_acquire(&hub->lock);
        hub->members -= !room->hidden;
        last = --room->total == 0;
        if (last) {
            map_remove(&hub->rooms, room->name);
            hub->hidden -= room->hidden;
            changed = note_interest_locked(hub, room);
        }
        lock_release(&hub->lock);
    }
    if (changed)
        hub->opts.on_interest(hub->opts.arg);
    if (last)
        room_release(room); /* the directory's count */
    room_release(room);
}

void hub_release_membership(struct hub *hub, struct membership *membership, unsigned loop,
                            bool deflate)
{
    struct room *room = membership->room;
    atomic_fetch_sub(&room->parts[loop].joined, 1);
    if (deflate)
        atomic_fetch_sub(&room->parts[loop].deflaters, 1);
    give_back(hub, membership);
}

enum err hub_watch(struct hub *hub, struct slice name)
{
    lock_acquire(&hub->lock);
    struct room *room = find_or_make_locked(hub, name);
    bool changed = room != NULL && ++room->total == 1 && note_interest_locked(hub, room);
    if (room != NULL)
        hub->members += !room->hidden;
    lock_release(&hub->lock);
    if (changed)
        hub->opts.on_interest(hub->opts.arg);
    return room != NULL ? ERR_OK : ERR_NOMEM;
}

void hub_unwatch(struct hub *hub, struct slice name)
{
    struct membership membership = {.room = hub_find_room(hub, name)};
    if (membership.room != NULL)
        give_back(hub, &membership);
}

/* Takes a slot unless all are taken. */
static bool take_slot(struct hub *hub)
{
    size_t slots = atomic_load(&hub->slots);
    do {
        if (slots >= hub->opts.max_clients)
            return false;
    } while (!atomic_compare_exchange_weak(&hub->slots, &slots, slots + 1));
    return true;
}

enum err hub_admit(struct hub *hub, const struct hub_admission *admission, struct client **out)
{
    *out = NULL;
    if (hub_is_draining(hub))
        return ERR_CLOSED;
    if (!take_slot(hub))
        return ERR_FULL;
    struct membership membership = {.room = NULL, .index = MEMBERSHIP_OUT};
    bool deflate_out = client_takes_deflate(admission->deflate);
    unsigned loop = ANY_LOOP;
    if (admission->room.ptr == NULL)
        loop = atomic_fetch_add(&hub->next_loop, 1) % hub->opts.loops;
    else if (enter_room(hub, admission->room, deflate_out, &membership, &loop) != ERR_OK)
        goto no_room;
    struct client *client = client_try_create(hub->shards[loop], admission);
    if (client == NULL)
        goto no_client;
    client->room = membership;
    if (client_reserve_rooms(client) != ERR_OK)
        goto no_seats;
    client->home = membership.room != NULL ? room_retain(membership.room) : NULL;
    client->global.room = room_retain(hub->global);
    count_in(hub->global, loop, deflate_out);
    atomic_fetch_add(&hub->connections, 1);
    client_join(client);
    *out = client;
    return ERR_OK;

no_seats:
    client_discard(client);
no_client:
    if (membership.room != NULL)
        hub_release_membership(hub, &membership, loop, deflate_out);
no_room:
    hub_client_freed(hub);
    return ERR_NOMEM;
}

void hub_client_left(struct hub *hub)
{
    atomic_fetch_sub(&hub->connections, 1);
}

void hub_client_freed(struct hub *hub)
{
    if (atomic_fetch_sub(&hub->slots, 1) != 1 || !hub_is_draining(hub))
        return;
    lock_acquire(&hub->drain_lock);
    pthread_cond_signal(&hub->drained);
    lock_release(&hub->drain_lock);
}

/* --- messages --- */

struct room *hub_find_room(struct hub *hub, struct slice name)
{
    lock_acquire(&hub->lock);
    struct room *room = map_get(&hub->rooms, name);
    if (room != NULL)
        room_retain(room);
    lock_release(&hub->lock);
    return room;
}

struct room *hub_global(struct hub *hub)
{
    return hub->global;
}

static void run_delivery(struct loop_task *task, struct loop *loop)
{
    struct delivery *delivery = (struct delivery *)task;
    (void)loop;
    shard_take(delivery->shard, delivery->room, delivery->message);
    message_release(delivery->message);
    room_release(delivery->room);
    mem_free(delivery);
}

static void run_passing(struct loop_task *task, struct loop *loop)
{
    struct passing *passing = (struct passing *)task;
    struct delivery *delivery = &passing->delivery;
    (void)loop;
    shard_take_passing(delivery->shard, delivery->room, delivery->message,
                       slice_of(passing->except, passing->except_len));
    message_release(delivery->message);
    room_release(delivery->room);
    mem_free(passing);
}

static bool has_deflaters(const struct room *room)
{
    for (unsigned i = 0; i < room->parts_count; i++)
        if (atomic_load_explicit(&room->parts[i].deflaters, memory_order_relaxed) != 0)
            return true;
    return false;
}

void hub_publish(struct hub *hub, struct room *room, struct message *message,
                 struct compressor *compressor)
{
    if (message_payload(message).len >= hub->opts.compress_min_bytes && has_deflaters(room))
        message_compress(message, compressor);
    for (unsigned i = 0; i < hub->opts.loops; i++) {
        if (atomic_load(&room->parts[i].joined) == 0)
            continue;
        struct delivery *delivery = mem_alloc(sizeof *delivery);
        *delivery = (struct delivery){.task.run = run_delivery,
                                      .shard = hub->shards[i],
                                      .room = room_retain(room),
                                      .message = message_retain(message)};
        loop_post(hub->shards[i]->loop, &delivery->task);
    }
}

void hub_publish_passing(struct hub *hub, struct room *room, struct message *message,
                         struct slice except)
{
    for (unsigned i = 0; i < hub->opts.loops; i++) {
        if (atomic_load(&room->parts[i].joined) == 0)
            continue;
        struct passing *passing = mem_zalloc(sizeof *passing);
        passing->delivery = (struct delivery){.task.run = run_passing,
                                              .shard = hub->shards[i],
                                              .room = room_retain(room),
                                              .message = message_retain(message)};
        passing->except_len = except.len <= sizeof passing->except ? except.len : 0;
        if (passing->except_len != 0)
            memcpy(passing->except, except.ptr, except.len);
        loop_post(hub->shards[i]->loop, &passing->delivery.task);
    }
}

static void run_announcement(struct loop_task *task, struct loop *loop)
{
    struct announcement *announcement = (struct announcement *)task;
    (void)loop;
    shard_take_announced(announcement->shard, announcement->message, announcement->stands);
    message_release(announcement->message);
    mem_free(announcement);
}

/* To each loop, even one without clients: it tells those who come. */
void hub_announce(struct hub *hub, struct message *message, bool stands)
{
    for (unsigned i = 0; i < hub->opts.loops; i++) {
        struct announcement *announcement = mem_zalloc(sizeof *announcement);
        *announcement = (struct announcement){.task.run = run_announcement,
                                              .shard = hub->shards[i],
                                              .message = message_retain(message),
                                              .stands = stands};
        loop_post(hub->shards[i]->loop, &announcement->task);
    }
}

/* --- other pods --- */

void hub_take_interest(struct hub *hub, void (*each)(void *arg, struct slice room, bool wanted),
                       void *arg)
{
    for (;;) {
        lock_acquire(&hub->lock);
        struct list_link *link = list_pop_front(&hub->interest);
        struct room *room = link != NULL ? LIST_ENTRY(link, struct room, interest) : NULL;
        bool wanted = false, changed = false;
        if (room != NULL) {
            wanted = room->total != 0;
            changed = wanted != room->announced;
            room->announced = wanted;
        }
        lock_release(&hub->lock);
        if (room == NULL)
            return;
        if (changed)
            each(arg, room->name, wanted);
        room_release(room);
    }
}

void hub_mark_subscribed(struct hub *hub, struct slice name)
{
    struct room *room = hub_find_room(hub, name);
    if (room != NULL)
        atomic_store(&room->subscribed, true);
    room_release(room);
}

/* --- statistics --- */

size_t hub_count_members(struct hub *hub, struct slice name)
{
    lock_acquire(&hub->lock);
    const struct room *room = map_get(&hub->rooms, name);
    size_t count = room != NULL ? room->total : 0;
    lock_release(&hub->lock);
    return count;
}

static size_t list_rooms(struct hub *hub, const struct room_pick *pick, struct hub_room_count *out,
                         size_t max, size_t *total)
{
    struct room **picked = mem_resize(NULL, max, sizeof(struct room *));
    lock_acquire(&hub->lock);
    size_t count = room_pick_from(pick, &hub->rooms, picked, max);
    for (size_t i = 0; i < count; i++) {
        out[i].members = picked[i]->total;
        out[i].name_len = (uint32_t)picked[i]->name.len;
        memcpy(out[i].name, picked[i]->name.ptr, picked[i]->name.len);
    }
    *total = hub->rooms.count - hub->hidden;
    lock_release(&hub->lock);
    mem_free(picked);
    return count;
}

int hub_compare_names(const void *a, const void *b)
{
    const struct hub_room_count *x = a, *y = b;
    return room_compare_names(slice_of(x->name, x->name_len), slice_of(y->name, y->name_len));
}

static int compare_counts(const void *a, const void *b)
{
    const struct hub_room_count *x = a, *y = b;
    if (x->members != y->members)
        return x->members < y->members ? 1 : -1;
    return hub_compare_names(a, b);
}

size_t hub_list_rooms(struct hub *hub, struct hub_room_count *out, size_t max, size_t *total)
{
    const struct room_pick largest = room_pick_largest();
    size_t count = list_rooms(hub, &largest, out, max, total);
    qsort(out, count, sizeof *out, compare_counts);
    return count;
}

size_t hub_list_rooms_by_name(struct hub *hub, struct slice prefix, struct slice after,
                              struct hub_room_count *out, size_t max)
{
    const struct room_pick next = room_pick_next(prefix, after);
    size_t total = 0;
    size_t count = list_rooms(hub, &next, out, max, &total);
    qsort(out, count, sizeof *out, hub_compare_names);
    return count;
}

void hub_get_stats(struct hub *hub, struct hub_stats *out)
{
    *out = (struct hub_stats){.connections = atomic_load(&hub->connections),
                              .slots = atomic_load(&hub->slots)};
    for (unsigned i = 0; i < hub->opts.loops; i++)
        counters_sum(&out->counters, &hub->shards[i]->counters);
    lock_acquire(&hub->lock);
    out->rooms = hub->rooms.count - hub->hidden;
    out->members = hub->members;
    lock_release(&hub->lock);
}
