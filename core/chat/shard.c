/*
 * What a room got goes into its part's batch here; flush.c writes it at the end of the turn.
 */
#include "core/chat/shard.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/chat/client.h"
#include "core/chat/client_io.h"
#include "core/chat/flush.h"
#include "core/chat/hub.h"
#include "core/net/burst.h"

enum {
    SKIPPED = UINT8_MAX,  /* in a client's dirty_parts, for the moment */
    UNPACED_INFLATED = 4, /* for so many of SHARD_UNPACED_MAX counts one with CLIENT_INFLATED_MAX */
};

static void on_events(void *arg, struct loop_source *source, uint32_t events)
{
    (void)arg;
    client_on_events((struct client *)source, events);
}

static bool should_rest(void *arg)
{
    struct shard *shard = arg;
    return hub_is_overloaded(shard->hub, shard->index);
}

static int on_turn_end(void *arg);

enum err shard_create(struct hub *hub, unsigned index, struct shard **out)
{
    struct shard *shard = mem_zalloc(sizeof *shard);
    char name[16];
    snprintf(name, sizeof name, "loop-%u", index);
    *out = shard;
    shard->hub = hub;
    shard->index = index;
    compressor_init(&shard->compressor);
    buf_init(&shard->scratch, SIZE_MAX / 2);
    struct list *lists[] = {&shard->dirty, &shard->due,   &shard->quiet,  &shard->pinged,
                            &shard->paced, &shard->heavy, &shard->midway, &shard->ending};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        list_init(lists[i]);
    agenda_init(&shard->expiries);
    slab_init(&shard->clients, sizeof(struct client));
    slab_init(&shard->works, sizeof(struct client_work));
    shard->pool = ws_pool_create(&hub_opts(hub)->limits, &client_ws_handlers);
    if (hub_opts(hub)->io_uring)
        flush_open_burst(shard);
    return loop_create(&(struct loop_opts){.name = name,
                                           .arg = shard,
                                           .on_events = on_events,
                                           .on_turn_end = on_turn_end,
                                           .should_rest = should_rest,
                                           .clock_ms = hub_opts(hub)->clock_ms},
                       &shard->loop);
}

void shard_destroy(struct shard *shard)
{
    if (shard == NULL)
        return;
    loop_destroy(shard->loop);
    burst_destroy(shard->burst);
    ws_pool_destroy(shard->pool);
    compressor_fini(&shard->compressor);
    buf_fini(&shard->scratch);
    agenda_fini(&shard->expiries);
    slab_fini(&shard->works);
    slab_fini(&shard->clients);
    message_release(shard->notice);
    mem_free(shard);
}

/* --- what a room got --- */

void shard_take(struct shard *shard, struct room *room, const struct message *message)
{
    struct room_part *part = &room->parts[shard->index];
    assert(loop_is_current(shard->loop));
    if (part->count == 0)
        return; /* all have left meanwhile */
    if (!message->heavy)
        shard->light_ms = loop_now_ms(shard->loop);
    enum err err = room_part_append(part, message);
    if (err == ERR_FULL) {
        flush_part(shard, part);
        err = room_part_append(part, message);
    }
    if (err != ERR_OK) {
        counter_add(&shard->counters.messages_dropped_total, part->count);
        log_error("message:dropped", log_room(room->name), log_str("reason", "out of memory"),
                  log_uint("members", part->count));
    }
    if (part->plain != NULL && !list_has_link(&part->dirty)) {
        room_retain(room);
        list_push_back(&shard->dirty, &part->dirty);
    }
}

/* Whether a message is not for this member, though what the batches hold now is. */
typedef bool skip_fn(struct shard *shard, const struct client *client, struct slice except);

static bool skips_passing(struct shard *shard, const struct client *client, struct slice except)
{
    if (except.len != 0 && slice_equals(client_id(client), except))
        return true;
    if (!client_is_behind(client))
        return false;
    counter_add(&shard->counters.passing_dropped_total, 1);
    return true;
}

static bool skips_plain(struct shard *shard, const struct client *client, struct slice except)
{
    (void)shard;
    (void)except;
    return !client_is_events(client);
}

/*
 * Who is skipped takes what the batch holds so far into its queue, and is then marked as if it had
 * taken the message, too: `taken` is moved behind it once it stands there.
 */
static void take_some(struct shard *shard, struct room *room, const struct message *message,
                      skip_fn *skips, struct slice except)
{
    struct room_part *part = &room->parts[shard->index];
    uint32_t skipped = 0;
    for (uint32_t i = 0; i < part->count; i++) {
        struct client *client = part->members[i].client;
        if (!skips(shard, client, except))
            continue;
        client_queue_taken_of(client, part->members[i].membership);
        client->dirty_parts = SKIPPED;
        skipped++;
    }
    if (skipped == part->count)
        return;
    shard_take(shard, room, message);
    for (uint32_t i = 0; i < part->count && skipped != 0; i++) {
        struct client *client = part->members[i].client;
        if (client->dirty_parts != SKIPPED)
            continue;
        struct batch *batch = room_part_batch(part, client->deflate_out);
        part->members[i].membership->taken_of = batch;
        part->members[i].membership->taken = batch != NULL ? batch->len : 0;
        client->dirty_parts = 0;
        skipped--;
    }
}

void shard_take_passing(struct shard *shard, struct room *room, const struct message *message,
                        struct slice except)
{
    take_some(shard, room, message, skips_passing, except);
}

void shard_take_announced(struct shard *shard, struct message *message, bool stands)
{
    message_release(shard->notice);
    shard->notice = stands ? message_retain(message) : NULL;
    take_some(shard, hub_global(shard->hub), message, skips_plain, SLICE_NONE);
}

/* --- time --- */

struct deadline {
    uint64_t now_ms;
    uint64_t next_ms;
};

/* The loop wakes then at the latest. */
static void wake_at(struct deadline *deadline, uint64_t at_ms)
{
    if (at_ms < deadline->now_ms)
        at_ms = deadline->now_ms;
    if (at_ms < deadline->next_ms)
        deadline->next_ms = at_ms;
}

/* Whether the moment has come; otherwise the loop must wake for it. */
static bool is_due(struct deadline *deadline, uint64_t at_ms)
{
    if (at_ms <= deadline->now_ms)
        return true;
    wake_at(deadline, at_ms);
    return false;
}

static struct client *first_timer(const struct list *list)
{
    struct list_link *link = list_first(list);
    return link != NULL ? LIST_ENTRY(link, struct client, timer) : NULL;
}

/* For WS_PONG_TIMEOUT nothing came, or nothing was taken of what waits: who at least said something
 * is not silent. */
static void end_silent(struct shard *shard, struct client *client)
{
    list_remove(&client->timer);
    if (client_is_pressed(client) &&
        client->work->received_ms + hub_opts(shard->hub)->pong_timeout_ms >
            loop_now_ms(shard->loop)) {
        client_end_slow(client);
        return;
    }
    counter_add(&shard->counters.heartbeat_timeouts_total, 1);
    client_end(client, WS_CLOSE_HEARTBEAT_TIMEOUT, "heartbeat timeout");
}

static void check_heartbeats(struct shard *shard, struct deadline *deadline)
{
    const struct hub_opts *opts = hub_opts(shard->hub);
    struct client *client;
    while ((client = first_timer(&shard->pinged)) != NULL &&
           is_due(deadline, client->heard_ms + opts->pong_timeout_ms))
        end_silent(shard, client);
    /* With an interval over the timeout a client is given up without a ping. */
    while ((client = first_timer(&shard->quiet)) != NULL &&
           is_due(deadline, client->heard_ms + opts->pong_timeout_ms))
        end_silent(shard, client);
    while ((client = first_timer(&shard->quiet)) != NULL &&
           is_due(deadline, client->heard_ms + opts->ping_interval_ms)) {
        list_move_back(&shard->pinged, &client->timer);
        client_ping(client);
        is_due(deadline, client->heard_ms + opts->pong_timeout_ms);
    }
}

/* This loop's part of what may wait for all, enough for one client at least. */
static size_t held_max(const struct shard *shard)
{
    const struct hub_opts *opts = hub_opts(shard->hub);
    size_t part = opts->queues_bytes / opts->loops;
    return part > opts->queue_bytes ? part : opts->queue_bytes;
}

/* Ends those who have taken nothing for longest, until `bytes` less wait. Returns what is left. */
static size_t end_slowest(const struct list *list, size_t bytes)
{
    struct list_link *link = list->head.next;
    for (; link != &list->head && bytes != 0; link = link->next) {
        struct client *client = LIST_ENTRY(link, struct client, timer);
        if (!client_is_pressed(client))
            continue;
        size_t waiting = client->work->outq.bytes; /* who is pressed has some */
        bytes -= waiting < bytes ? waiting : bytes;
        client_end_slow(client);
    }
    return bytes;
}

/* Each queue has its bounds, but there may be many. A quarter is freed at once, so that the lists
 * are not walked again before as much has come to wait anew. */
static void check_held(struct shard *shard, struct deadline *deadline)
{
    size_t max = held_max(shard), bytes = max / 4;
    if (shard->held_bytes <= max)
        return;
    bytes = end_slowest(&shard->pinged, bytes);
    if (bytes != 0)
        bytes = end_slowest(&shard->quiet, bytes);
    /* What several wait for is free only when the last of them has ended. */
    if (bytes == 0)
        wake_at(deadline, deadline->now_ms);
}

static void end_midway(struct client *client, const char *reason)
{
    counter_add(&client->shard->counters.message_timeouts_total, 1);
    client_end(client, WS_CLOSE_MESSAGE_TIMEOUT, reason);
}

static void check_messages(struct shard *shard, struct deadline *deadline)
{
    uint64_t limit_ms = hub_opts(shard->hub)->message_timeout_ms;
    for (struct list_link *link; (link = list_first(&shard->midway)) != NULL;) {
        const struct client_work *work = LIST_ENTRY(link, struct client_work, midway);
        if (!is_due(deadline, work->midway_since_ms + limit_ms))
            return;
        list_remove(link);
        end_midway(work->client, "message not finished in time");
    }
}

/* Each message has its bounds, but many may have begun. Those end that began longest ago, until a
 * quarter is free; the one that began last is never too much. */
static void check_midway(struct shard *shard)
{
    const struct hub_opts *opts = hub_opts(shard->hub);
    const struct list_link *head = &shard->midway.head;
    size_t max = opts->midway_bytes / opts->loops, left = ws_pool_bytes_in_use(shard->pool);
    if (left <= max)
        return;
    while (left > max - max / 4 && head->next != head->prev) {
        struct client *client = LIST_ENTRY(head->next, struct client_work, midway)->client;
        left -= ws_session_bytes(&client->session);
        list_remove(head->next);
        end_midway(client, "too many messages not finished");
    }
}

/* Those whose pause is over are read from again, a few a turn: however many flood, and however long
 * that takes here, a turn stays short. The list has no order but by when they were put in. */
static void check_paced(struct shard *shard, struct deadline *deadline)
{
    int left = SHARD_UNPACED_MAX;
    shard->visits_due = false;
    struct list_link *link = shard->paced.head.next;
    while (link != &shard->paced.head) {
        const struct client_work *work = LIST_ENTRY(link, struct client_work, paced);
        struct client *client = work->client; /* unpaced, it may give the work back */
        link = link->next;
        if (!is_due(deadline, work->pace_us / 1000))
            continue;
        if (left <= 0) {
            wake_at(deadline, deadline->now_ms);
            return;
        }
        client_unpace(client);
        /* What was put by may hold it up anew: then nobody else may wake the loop for it. */
        if (client_is_paced(client))
            wake_at(deadline, client->work->pace_us / 1000);
        left -= client->session.inflated > CLIENT_INFLATED_MAX ? UNPACED_INFLATED : 1;
    }
}

/* However many bring much at once, those who bring little wait for a part of it at most. Nothing is
 * lost by that when there are no others: the next turn comes at once. */
static void read_heavy(struct shard *shard, struct deadline *deadline)
{
    bool has_others = deadline->now_ms <= shard->light_ms + SHARD_LIGHT_MS;
    int left = should_rest(shard) ? 0 : has_others ? SHARD_HEAVY_MAX : INT_MAX;
    struct list_link *link;
    while (left > 0 && (link = list_pop_front(&shard->heavy)) != NULL) {
        shard->read_cost = 1;
        client_read_heavy(LIST_ENTRY(link, struct client_work, heavy)->client);
        left -= (int)shard->read_cost;
    }
    if (!list_is_empty(&shard->heavy))
        wake_at(deadline, deadline->now_ms);
}

/* Tokens that were issued together are over together: each turn takes some of them. */
static void check_expiries(struct shard *shard, struct deadline *deadline)
{
    const struct agenda_slot *first;
    unsigned taken = 0;
    while ((first = agenda_first(&shard->expiries)) != NULL && is_due(deadline, first->at)) {
        if (taken++ == SHARD_EXPIRIES_MAX) {
            wake_at(deadline, deadline->now_ms);
            return;
        }
        client_expire(LIST_ENTRY(first->entry, struct client, expiry));
    }
}

static void check_ending(struct shard *shard, struct deadline *deadline)
{
    uint64_t limit_ms = hub_opts(shard->hub)->close_timeout_ms;
    struct client *client;
    while ((client = first_timer(&shard->ending)) != NULL &&
           is_due(deadline, client->heard_ms + limit_ms)) {
        list_remove(&client->timer);
        client_drop(client);
    }
}

/* What a client said in time counts, though the loop was kept from reading it: nobody is judged
 * before all were read. */
static void check_silence(struct shard *shard, struct deadline *deadline)
{
    if (!loop_has_caught_up(shard->loop)) {
        wake_at(deadline, deadline->now_ms);
        return;
    }
    check_heartbeats(shard, deadline);
    check_messages(shard, deadline);
    check_ending(shard, deadline);
}

/* --- the end of the turn --- */

/* All who are due now; whoever becomes due from here on is in the shard's list again. */
static void take_due(struct shard *shard, struct list *due)
{
    list_init(due);
    list_append(due, &shard->due);
}

static void stay_due(struct shard *shard, struct client *client)
{
    if ((client->must_flush || client->must_leave) && !list_has_link(&client->due))
        list_push_back(&shard->due, &client->due);
}

static void flush_due(struct shard *shard)
{
    struct list due;
    take_due(shard, &due);
    for (struct list_link *link; (link = list_pop_front(&due)) != NULL;) {
        struct client *client = LIST_ENTRY(link, struct client, due);
        if (client->must_flush) {
            client->must_flush = false;
            client_flush(client);
        }
        stay_due(shard, client);
    }
}

static void leave_due(struct shard *shard)
{
    struct list due;
    take_due(shard, &due);
    for (struct list_link *link; (link = list_pop_front(&due)) != NULL;) {
        struct client *client = LIST_ENTRY(link, struct client, due);
        bool leaves = client->must_leave;
        client->must_leave = false;
        stay_due(shard, client);
        if (leaves)
            client_leave(client); /* may free it, or make it due again */
    }
}

static void settle_due(struct shard *shard)
{
    while (!list_is_empty(&shard->due)) {
        flush_due(shard);
        leave_due(shard);
    }
}

static int on_turn_end(void *arg)
{
    struct shard *shard = arg;
    struct deadline deadline = {.now_ms = loop_now_ms(shard->loop), .next_ms = UINT64_MAX};
    flush_dirty(shard);
    settle_due(shard);
    /* Behind the writes, so that it is known who does not take the answers; and before all that
     * says when the loop has to wake. */
    read_heavy(shard, &deadline);
    check_silence(shard, &deadline);
    check_held(shard, &deadline);
    check_midway(shard);
    check_paced(shard, &deadline);
    check_expiries(shard, &deadline);
    settle_due(shard);
    /* Who began to end in this very turn is looked after in time, too. */
    struct client *ending = first_timer(&shard->ending);
    if (ending != NULL)
        is_due(&deadline, ending->heard_ms + hub_opts(shard->hub)->close_timeout_ms);
    if (shard->visits_due)
        return 0;
    if (deadline.next_ms == UINT64_MAX)
        return -1;
    uint64_t wait_ms = deadline.next_ms - deadline.now_ms;
    return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

/* --- all at once --- */

typedef void client_fn(struct client *client);

static void for_all(const struct list *list, client_fn *fn)
{
    for (struct list_link *link = list->head.next; link != &list->head; link = link->next)
        fn(LIST_ENTRY(link, struct client, timer));
}

static void end_going_away(struct client *client)
{
    client_end(client, WS_CLOSE_GOING_AWAY, "server is shutting down");
}

void shard_close_all(struct shard *shard)
{
    for_all(&shard->quiet, end_going_away);
    for_all(&shard->pinged, end_going_away);
}

void shard_drop_all(struct shard *shard)
{
    for_all(&shard->quiet, client_drop);
    for_all(&shard->pinged, client_drop);
    for_all(&shard->ending, client_drop);
}
