/*
 * What Redis holds of a room, read page by page (HSCAN: a room may have any size) into a replica,
 * and leases, which say whether the word of a pod still counts.
 *
 *     begin ─▶ awaits the subscription ─▶ pages ─▶ leases never heard of ─▶ end
 *
 * The subscription comes first, so that nothing falls between what Redis holds and what is said
 * from then on. A query for a room without events clients here makes a replica for itself, which
 * tells nobody anything.
 *
 * A load has one thing under way at any time, so that it is freed safely when that comes back.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/bus/bus.h"
#include "core/presence/inside.h"

enum {
    NAME_MAX_BYTES = 256,
    ASIDES_MAX = 8, /* loads for queries at once */
    LEASES_AT_ONCE = 512,
};

#define PRESENCE_KEY "realtime:presence:"
#define LEASE_KEY    "realtime:lease:"
#define PAGE_HINT    "500"

struct load {
    struct list_link link;
    struct presence *presence;
    struct replica *replica;
    struct replica aside;     /* of a load for a query */
    struct roster_room *room; /* NULL: it is aside, or the room is not followed any more */
    struct list queries;      /* that wait for its end */
    bool is_aside, is_awaiting, is_cancelled;
    bool sweep; /* what does not come with it is gone: not while pods come back */
    bool again; /* once more after this one */
    struct bus_waiter waiter;
    struct loop_task task;
    unsigned name_len;
    char name[NAME_MAX_BYTES]; /* a slash, the room's name */
};

static struct slice room_name(const struct load *load)
{
    return slice_of(load->name + 1, load->name_len - 1);
}

static void append_key(struct buf *buf, const char *prefix, struct slice rest)
{
    buf_clear(buf);
    buf_append_str(buf, prefix);
    buf_append_slice(buf, rest);
}

/* --- answers to queries --- */

struct listing {
    struct presence_view *views;
    size_t listed, max, count;
};

static void list_view(void *arg, const struct presence_view *view)
{
    struct listing *listing = arg;
    listing->count++;
    if (listing->listed < listing->max)
        listing->views[listing->listed++] = *view;
}

static int compare_views(const void *a, const void *b)
{
    const struct presence_view *x = a, *y = b;
    if (x->since_ms != y->since_ms)
        return x->since_ms < y->since_ms ? -1 : 1;
    size_t shorter = x->user.len < y->user.len ? x->user.len : y->user.len;
    int order = memcmp(x->user.ptr, y->user.ptr, shorter);
    return order != 0 ? order : (int)x->user.len - (int)y->user.len;
}

static void answer(struct presence_query *query, const struct replica *replica)
{
    struct listing listing = {.max = query->max};
    listing.views = mem_resize(NULL, query->max + 1, sizeof *listing.views);
    replica_each(replica, query->lingering, list_view, &listing);
    qsort(listing.views, listing.listed, sizeof *listing.views, compare_views);
    query->clients = replica_count_clients(replica);
    query->done(query, listing.views, listing.listed, listing.count);
    mem_free(listing.views);
}

static void answer_all(struct load *load)
{
    for (struct list_link *link; (link = list_pop_front(&load->queries)) != NULL;)
        answer(LIST_ENTRY(link, struct presence_query, link), load->replica);
}

/* --- the pod's own part --- */

struct own_words {
    struct presence *presence;
    struct replica *replica;
};

static void take_own(const struct own_words *own, const struct roster_user *user,
                     const struct roster_seat *seat)
{
    char scratch[UUID_TEXT_LEN];
    struct record record = roster_record(user, seat);
    record.rev = ++own->presence->rev;
    replica_take_loaded(own->replica, own->presence->self, roster_user_id(user, scratch), &record,
                        loop_now_ms(own->presence->loop));
}

static void take_own_user(void *arg, const struct roster_user *user)
{
    take_own(arg, user, NULL);
}

static void fill_own(struct presence *presence, struct replica *replica,
                     const struct roster_room *room)
{
    const struct own_words own = {.presence = presence, .replica = replica};
    if (room == presence->global)
        roster_each(&presence->roster, take_own_user, (void *)&own);
    else
        for (uint32_t i = 0; room != NULL && i < room->count; i++)
            take_own(&own, room->seats[i]->user, room->seats[i]);
}

/* --- leases --- */

struct dropping {
    struct presence *presence;
    const struct lease *lease;
    size_t entries;
};

static void on_dropped(void *arg, struct replica *replica, struct slice user)
{
    struct dropping *dropping = arg;
    dropping->entries++;
    announce_delete(dropping->presence, replica->name, dropping->lease, user);
}

/* The pod is gone: nothing of what it said counts any more. */
static void end_lease(struct presence *presence, struct lease *lease)
{
    struct dropping dropping = {.presence = presence, .lease = lease};
    uint64_t wall_ms = clock_wall_ms();
    struct list *all = &presence->replicas.all;
    bool was_known = lease->is_known;
    lease_retain(lease);
    for (struct list_link *link = all->head.next; link != &all->head; link = link->next)
        replica_drop_lease(LIST_ENTRY(link, struct replica, link), lease, on_dropped, &dropping);
    roster_drop_lease(&presence->roster, lease, presence_now(presence, wall_ms));
    if (was_known)
        atomic_fetch_add(&presence->pods_gone_total, 1);
    log_info("presence:pod_gone", log_text("lease", lease_id(lease)),
             log_uint("entries", dropping.entries));
    leases_put(&presence->leases, lease);
}

/* Asks for some leases' keys: of all, the pod's own first, or of those never heard of. The ids
 * stand in `arg` of the answer, in the order of the keys. */
struct lease_check {
    struct load *load; /* NULL: not for one */
    size_t count;
    char ids[LEASES_AT_ONCE][LEASE_ID_LEN];
};

static void end_load(struct load *load, bool failed);

/* Whether Redis lost the pod's own lease, so that it says nothing about the others'. */
static bool is_own_lost(const struct presence *presence, const struct lease_check *check,
                        const struct ask *ask)
{
    return check->load == NULL && presence->store_is_up && !ask->failed && ask->count != 0 &&
           ask->texts[0].ptr == NULL &&
           memcmp(check->ids[0], presence->self->id, LEASE_ID_LEN) == 0;
}

static void on_checked(struct presence *presence, void *arg, const struct ask *ask)
{
    struct lease_check *check = arg;
    if (is_own_lost(presence, check, ask))
        announce_lease_lost(presence);
    bool judged = loop_now_ms(presence->loop) >= presence->judge_ms;
    for (size_t i = 0; i < check->count && i < ask->count && !ask->failed; i++) {
        struct slice id = slice_of(check->ids[i], LEASE_ID_LEN);
        struct lease *lease = map_get(&presence->leases.by_id, id);
        if (lease == NULL || lease == presence->self)
            continue;
        if (ask->texts[i].ptr != NULL)
            lease->is_known = true;
        else if (judged)
            end_lease(presence, lease);
    }
    if (check->load != NULL)
        end_load(check->load, ask->failed);
    mem_free(check);
}

static void add_check(struct lease_check *check, struct buf *keys, const struct lease *lease)
{
    if (check->count == LEASES_AT_ONCE)
        return;
    memcpy(check->ids[check->count++], lease->id, LEASE_ID_LEN);
    buf_append_str(keys, LEASE_KEY);
    buf_append_slice(keys, lease_id(lease));
}

static bool check_leases(struct presence *presence, struct load *load)
{
    struct lease_check *check = mem_zalloc(sizeof *check);
    struct slice *words = mem_resize(NULL, LEASES_AT_ONCE + 1, sizeof *words);
    struct buf keys;
    size_t at = 0, prefix = sizeof LEASE_KEY - 1;
    buf_init(&keys, SIZE_MAX / 2);
    if (load == NULL)
        add_check(check, &keys, presence->self);
    for (const struct lease *lease; (lease = map_next(&presence->leases.by_id, &at)) != NULL;)
        if (lease != presence->self && (load == NULL || !lease->is_known))
            add_check(check, &keys, lease);
    words[0] = slice_str("MGET");
    for (size_t i = 0; i < check->count; i++)
        words[i + 1] = slice_of(keys.ptr + i * (prefix + LEASE_ID_LEN), prefix + LEASE_ID_LEN);
    check->load = load;
    bool asked = check->count != 0 && keys.err == ERR_OK;
    if (asked)
        presence_command(presence, words, check->count + 1, on_checked, check);
    else
        mem_free(check);
    mem_free(words);
    buf_fini(&keys);
    return asked;
}

/* --- one load --- */

static void free_load(struct load *load)
{
    list_remove(&load->link);
    if (load->is_aside) {
        load->presence->asides--;
        replica_fini(&load->aside);
    }
    mem_free(load);
}

static void begin_pages(struct load *load);

static void end_load(struct load *load, bool failed)
{
    struct presence *presence = load->presence;
    struct roster_room *room = load->room;
    if (load->is_cancelled) {
        free_load(load);
        return;
    }
    replica_end_load(load->replica, presence->self, load->sweep && !failed,
                     loop_now_ms(presence->loop));
    answer_all(load);
    if (room != NULL && load->again && presence->store_is_up) {
        load->again = false;
        replica_begin_load(load->replica);
        begin_pages(load);
        return;
    }
    if (room != NULL)
        room->load = NULL;
    free_load(load);
}

struct taking {
    struct load *load;
    struct slice lease, user;
};

static void take_record(void *arg, const struct record *record)
{
    const struct taking *taking = arg;
    struct presence *presence = taking->load->presence;
    struct lease *lease = leases_get(&presence->leases, taking->lease);
    if (lease_is_followed_by(lease, presence->self)) /* of one who went while Redis was away */
        announce_delete(presence, room_name(taking->load), lease, taking->user);
    else if (lease != presence->self)
        replica_take_loaded(taking->load->replica, lease, taking->user, record,
                            loop_now_ms(presence->loop));
    leases_put(&presence->leases, lease);
}

static void take_field(struct load *load, struct slice field, struct slice value)
{
    if (field.len <= LEASE_ID_LEN + 1 || field.len > LEASE_ID_LEN + 1 + PRESENCE_USER_MAX ||
        field.ptr[LEASE_ID_LEN] != ':' || value.ptr == NULL)
        return;
    struct taking taking = {.load = load,
                            .lease = slice_of(field.ptr, LEASE_ID_LEN),
                            .user = slice_skip(field, LEASE_ID_LEN + 1)};
    if (!record_read(value, take_record, &taking))
        log_warn("presence:invalid_record", log_room(room_name(load)));
}

static void ask_page(struct load *load, struct slice cursor);

static void on_page(struct presence *presence, void *arg, const struct ask *ask)
{
    struct load *load = arg;
    if (load->is_cancelled || ask->failed || ask->count == 0 || ask->texts[0].ptr == NULL ||
        !presence->store_is_up) {
        end_load(load, true);
        return;
    }
    for (size_t i = 1; i + 1 < ask->count; i += 2)
        if (ask->texts[i].ptr != NULL)
            take_field(load, ask->texts[i], ask->texts[i + 1]);
    if (!slice_equals_str(ask->texts[0], "0"))
        ask_page(load, ask->texts[0]);
    else if (!check_leases(presence, load))
        end_load(load, false);
}

static void ask_page(struct load *load, struct slice cursor)
{
    struct presence *presence = load->presence;
    append_key(&presence->scratch, PRESENCE_KEY, room_name(load));
    const struct slice words[] = {slice_str("HSCAN"), buf_slice(&presence->scratch), cursor,
                                  slice_str("COUNT"), slice_str(PAGE_HINT)};
    presence_command(presence, words, 5, on_page, load);
}

static void begin_pages(struct load *load)
{
    load->is_awaiting = false;
    load->sweep = loop_now_ms(load->presence->loop) >= load->presence->judge_ms;
    ask_page(load, slice_str("0"));
}

static struct load *make_load(struct presence *presence, struct slice name)
{
    struct load *load = mem_zalloc(sizeof *load);
    load->presence = presence;
    load->name_len = (unsigned)(name.len + 1);
    load->name[0] = '/';
    memcpy(load->name + 1, name.ptr, name.len);
    list_init(&load->queries);
    list_push_back(&presence->loads, &load->link);
    return load;
}

/* --- rooms that are followed --- */

static void run_awaited(struct loop_task *task, struct loop *loop)
{
    struct load *load = LIST_ENTRY(task, struct load, task);
    (void)loop;
    if (load->is_cancelled || !load->presence->store_is_up)
        end_load(load, true);
    else
        begin_pages(load);
}

/* On the bus thread. */
static void on_awaited(struct bus_waiter *waiter)
{
    struct load *load = LIST_ENTRY(waiter, struct load, waiter);
    load->task = (struct loop_task){.run = run_awaited};
    loop_post(load->presence->loop, &load->task);
}

void load_track(struct presence *presence, struct roster_room *room)
{
    struct replica *replica = mem_zalloc(sizeof *replica);
    replica_init(replica, &presence->replicas, roster_room_name(room));
    room->replica = replica;
    atomic_fetch_add(&presence->rooms, 1);
    fill_own(presence, replica, room);
    if (!presence->store_is_up) {
        replica_end_load(replica, presence->self, false, loop_now_ms(presence->loop));
        return;
    }
    struct load *load = make_load(presence, roster_room_name(room));
    load->room = room;
    load->replica = replica;
    load->is_awaiting = true;
    room->load = load;
    load->waiter =
        (struct bus_waiter){.room = slice_of(load->name, load->name_len), .done = on_awaited};
    bus_await(presence->bus, &load->waiter);
}

void load_untrack(struct presence *presence, struct roster_room *room)
{
    if (room->load != NULL) {
        answer_all(room->load);
        room->load->is_cancelled = true;
        room->load->room = NULL;
        room->load->replica = NULL;
        room->load = NULL;
    }
    replica_fini(room->replica);
    mem_free(room->replica);
    room->replica = NULL;
    atomic_fetch_sub(&presence->rooms, 1);
}

static void reload(struct presence *presence, struct roster_room *room)
{
    if (room->load != NULL) {
        room->load->again = true;
        return;
    }
    struct load *load = make_load(presence, roster_room_name(room));
    load->room = room;
    load->replica = room->replica;
    room->load = load;
    replica_begin_load(room->replica);
    begin_pages(load);
}

void load_subscribed(struct presence *presence, struct roster_room *room)
{
    /* Who awaits it is told by the bus, too. */
    if (presence->store_is_up && room->replica != NULL &&
        (room->load == NULL || !room->load->is_awaiting))
        reload(presence, room);
}

static void reload_all(struct presence *presence)
{
    size_t at = 0;
    for (struct roster_room *room; (room = map_next(&presence->roster.rooms, &at)) != NULL;) {
        if (room->replica != NULL)
            reload(presence, room);
    }
}

void load_all(struct presence *presence, uint64_t now_ms)
{
    presence->judge_ms = now_ms + PRESENCE_SETTLE_MS;
    presence->poll_ms = presence->judge_ms;
    presence->is_settled = false;
    reload_all(presence);
}

/* --- queries --- */

static void begin_aside(struct presence *presence, struct presence_query *query)
{
    struct slice name = slice_of(query->room, query->room_len);
    struct load *load = make_load(presence, name);
    load->is_aside = true;
    presence->asides++;
    load->replica = &load->aside;
    replica_init(&load->aside, &presence->replicas, room_name(load));
    list_push_back(&load->queries, &query->link);
    fill_own(presence, &load->aside, roster_find_room(&presence->roster, name));
    begin_pages(load);
}

/* With what this pod knows by itself. */
static void answer_alone(struct presence *presence, struct presence_query *query)
{
    struct slice name = slice_of(query->room, query->room_len);
    struct replica replica;
    replica_init(&replica, &presence->replicas, name);
    fill_own(presence, &replica, roster_find_room(&presence->roster, name));
    answer(query, &replica);
    replica_fini(&replica);
}

void load_query(struct presence *presence, struct presence_query *query)
{
    struct slice name = slice_of(query->room, query->room_len);
    const struct roster_room *room = roster_find_room(&presence->roster, name);
    if (room != NULL && room->replica != NULL && !room->replica->silent)
        answer(query, room->replica);
    else if (room != NULL && room->load != NULL)
        list_push_back(&room->load->queries, &query->link);
    else if (!presence->store_is_up)
        answer_alone(presence, query);
    else if (presence->asides < ASIDES_MAX)
        begin_aside(presence, query);
    else
        list_push_back(&presence->queries, &query->link);
}

void load_abandon(struct presence *presence)
{
    for (struct list_link *link = presence->loads.head.next; link != &presence->loads.head;
         link = link->next) {
        struct load *load = LIST_ENTRY(link, struct load, link);
        if (!load->is_cancelled)
            answer_all(load);
    }
    for (struct list_link *link; (link = list_pop_front(&presence->queries)) != NULL;)
        answer_alone(presence, LIST_ENTRY(link, struct presence_query, link));
}

/* --- the turn --- */

static struct presence_query *first_query(const struct load *load)
{
    struct list_link *link = list_first(&load->queries);
    return link != NULL ? LIST_ENTRY(link, struct presence_query, link) : NULL;
}

/* Redis takes its time: those who wait get what is known. */
static void answer_late(struct presence *presence, uint64_t now_ms)
{
    const struct list *loads = &presence->loads;
    for (struct list_link *link = loads->head.next; link != &loads->head; link = link->next) {
        struct load *load = LIST_ENTRY(link, struct load, link);
        for (struct presence_query *query;
             (query = first_query(load)) != NULL && query->due_ms <= now_ms;) {
            list_remove(&query->link);
            answer(query, load->replica);
        }
    }
    for (struct list_link *link; (link = list_first(&presence->queries)) != NULL;) {
        struct presence_query *query = LIST_ENTRY(link, struct presence_query, link);
        if (query->due_ms > now_ms)
            return;
        list_remove(link);
        answer_alone(presence, query);
    }
}

void load_turn(struct presence *presence, uint64_t now_ms)
{
    answer_late(presence, now_ms);
    for (struct list_link *link;
         presence->asides < ASIDES_MAX && (link = list_pop_front(&presence->queries)) != NULL;)
        load_query(presence, LIST_ENTRY(link, struct presence_query, link));
    if (!presence->store_is_up || now_ms < presence->poll_ms)
        return;
    presence->poll_ms = now_ms + PRESENCE_POLL_MS;
    check_leases(presence, NULL);
    if (!presence->is_settled) {
        presence->is_settled = true;
        reload_all(presence);
    }
}

uint64_t load_next_ms(const struct presence *presence)
{
    uint64_t next_ms = presence->store_is_up ? presence->poll_ms : UINT64_MAX;
    const struct list *loads = &presence->loads;
    for (struct list_link *link = loads->head.next; link != &loads->head; link = link->next) {
        const struct presence_query *query = first_query(LIST_ENTRY(link, struct load, link));
        if (query != NULL && query->due_ms < next_ms)
            next_ms = query->due_ms;
    }
    const struct list_link *waiting = list_first(&presence->queries);
    if (waiting != NULL && LIST_ENTRY(waiting, struct presence_query, link)->due_ms < next_ms)
        next_ms = LIST_ENTRY(waiting, struct presence_query, link)->due_ms;
    return next_ms;
}
