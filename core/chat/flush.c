/*
 * Each dirty part's batch goes to its members with one send each; only when several parts are
 * dirty is it worth finding out who stands in more than one of them: those get their batches queued
 * and one gathered write.
 */
#include "core/chat/flush.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/chat/batch.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/room.h"
#include "core/chat/shard.h"
#include "core/net/burst.h"

enum {
    BURST_FROM = 16, /* members: in smaller rooms nothing is gained */
    AHEAD = 1,       /* members looked at ahead of a send, which takes long */
    AHEAD_OF_BURST = 8,
};

/* The members that took one kind of a part's batch whole, and at once. */
struct taken {
    const struct batch *batch;
    uint64_t members;
};

static void count_taken(struct shard *shard, struct taken taken, uint64_t now_ns)
{
    if (taken.members == 0)
        return;
    assert(taken.batch != NULL);
    counter_add(&shard->counters.messages_delivered_total, taken.members * taken.batch->count);
    counter_add(&shard->counters.bytes_sent_total, taken.members * taken.batch->len);
    for (uint32_t i = 0; i < taken.batch->count; i++)
        counters_observe_latency(&shard->counters, now_ns - taken.batch->received_ns[i],
                                 taken.members);
}

/* A part's batches on their way to its members. */
struct flush {
    struct shard *shard;
    struct room_part *part;
    struct taken plain, deflated;
    bool pressed, critical; /* some member is */
};

static void note_member(struct flush *flush, const struct client *client)
{
    flush->pressed |= client_is_pressed(client);
    flush->critical |= client_is_critical(client);
}

static void note_taken(struct flush *flush, const struct batch *batch)
{
    (batch == flush->plain.batch ? &flush->plain : &flush->deflated)->members++;
}

static bool is_in_several(const struct shard *shard, const struct client *client, bool several)
{
    return several && client->turn == shard->turn && client->dirty_parts > 1;
}

/* A burst's send to a member is done. */
static void on_sent(void *arg, void *tag, enum err err, size_t sent)
{
    struct flush *flush = ((struct shard *)arg)->flush;
    struct client *client = tag;
    struct batch *batch = room_part_batch(flush->part, client->deflate_out);
    if (client_delivered(client, batch, err, sent))
        note_taken(flush, batch);
    note_member(flush, client);
}

void flush_open_burst(struct shard *shard)
{
    shard->burst = burst_create(on_sent, shard);
    bool is_first = shard->index == 0 || hub_shard(shard->hub, shard->index - 1)->burst != NULL;
    if (shard->burst == NULL && is_first)
        log_info("io_uring:unavailable", log_str("reason", strerror(errno)));
}

/* With burst NULL each send is a system call. */
static inline void write_member(struct flush *flush, uint32_t i, struct burst *burst, bool several)
{
    struct member *member = &flush->part->members[i];
    struct client *client = member->client;
    struct batch *batch = room_part_batch(flush->part, client->deflate_out);
    bool queue_only = is_in_several(flush->shard, client, several);
    uint32_t ahead = i + (burst != NULL ? AHEAD_OF_BURST : AHEAD);
    if (ahead < flush->part->count)
        __builtin_prefetch(flush->part->members[ahead].client);
    if (member->membership->taken_of == batch) {
        client_deliver_rest(client, batch, member->membership->taken);
    } else if (burst == NULL) {
        if (client_deliver(client, batch, queue_only))
            note_taken(flush, batch);
    } else if (client_takes_at_once(client, batch, queue_only)) {
        burst_add(burst, &client->conn, slice_of(batch->bytes, batch->len), client);
    }
    member->membership->taken_of = NULL;
    note_member(flush, client);
}

static void write_part(struct shard *shard, struct room_part *part, bool several)
{
    struct flush flush = {
        .shard = shard, .part = part, .plain.batch = part->plain, .deflated.batch = part->deflated};
    list_remove(&part->dirty);
    if (shard->burst == NULL || part->count < BURST_FROM) {
        for (uint32_t i = 0; i < part->count; i++)
            write_member(&flush, i, NULL, several);
    } else {
        shard->flush = &flush;
        for (uint32_t i = 0; i < part->count; i++)
            write_member(&flush, i, shard->burst, several);
        burst_run(shard->burst);
        shard->flush = NULL;
    }
    uint64_t now_ms = loop_now_ms(shard->loop);
    if (flush.pressed)
        atomic_store_explicit(&part->room->pressed_ms, now_ms, memory_order_relaxed);
    if (flush.critical)
        atomic_store_explicit(&part->room->critical_ms, now_ms, memory_order_relaxed);
    uint64_t now_ns = clock_monotonic_ns();
    count_taken(shard, flush.plain, now_ns);
    count_taken(shard, flush.deflated, now_ns);
    batch_release(part->plain);
    batch_release(part->deflated);
    part->plain = part->deflated = NULL;
    room_release(part->room); /* counted while dirty */
}

void flush_part(struct shard *shard, struct room_part *part)
{
    write_part(shard, part, false);
}

/* Marks how many of the turn's dirty parts each client stands in. */
static void mark_members(struct shard *shard, const struct room_part *part)
{
    for (uint32_t i = 0; i < part->count; i++) {
        struct client *client = part->members[i].client;
        if (client->turn == shard->turn) {
            client->dirty_parts = 2;
        } else {
            client->turn = shard->turn;
            client->dirty_parts = 1;
        }
    }
}

void flush_dirty(struct shard *shard)
{
    struct list_link *first = list_first(&shard->dirty);
    if (first == NULL)
        return;
    bool several = first->next != &shard->dirty.head;
    if (several) {
        shard->turn++;
        for (struct list_link *link = first; link != &shard->dirty.head; link = link->next)
            mark_members(shard, LIST_ENTRY(link, struct room_part, dirty));
    }
    for (struct list_link *link; (link = list_first(&shard->dirty)) != NULL;)
        write_part(shard, LIST_ENTRY(link, struct room_part, dirty), several);
}
