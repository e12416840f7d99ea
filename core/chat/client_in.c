/*
 * What comes in: how much is read at once, what the session made of it, and the pace of senders.
 */
#include "core/chat/client_io.h"

#include <sys/epoll.h>

#include "core/base/mem.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"
#include "core/ws/frame.h"

/* --- the pace of senders --- */

bool client_is_paced(const struct client *client)
{
    return client->work != NULL && list_has_link(&client->work->paced);
}

/* Not read from until its pace_us. */
static void pause_reading(struct client *client)
{
    if (client->state != CLIENT_OPEN || client_is_paced(client))
        return;
    list_push_back(&client->shard->paced, &client->work->paced);
    client_update_reading(client);
}

/* No earlier than `until_us`; without memory not at all. */
static void pause_until(struct client *client, uint64_t until_us)
{
    struct client_work *work = client_need_work(client);
    if (work == NULL)
        return;
    if (work->pace_us < until_us)
        work->pace_us = until_us;
    pause_reading(client);
}

/* The work, whose pace has no arrears. */
static struct client_work *need_pace(struct client *client, uint64_t now_us)
{
    struct client_work *work = client_need_work(client);
    if (work != NULL && work->pace_us < now_us)
        work->pace_us = now_us;
    return work;
}

void client_count_publish(struct client *client, const struct room *room, size_t bytes)
{
    struct shard *shard = client->shard;
    uint64_t now_ms = loop_now_ms(shard->loop), now_us = now_ms * 1000;
    uint64_t pressed_ms = atomic_load_explicit(&room->pressed_ms, memory_order_relaxed);
    if (pressed_ms == 0 || now_ms > pressed_ms + CLIENT_PACE_AFTER_MS)
        return;
    struct client_work *work = need_pace(client, now_us);
    if (work == NULL)
        return;
    uint64_t critical_ms = atomic_load_explicit(&room->critical_ms, memory_order_relaxed);
    bool critical = critical_ms != 0 && now_ms <= critical_ms + CLIENT_PACE_AFTER_MS;
    work->pace_us += bytes / CLIENT_PACE_BYTES_PER_US;
    work->pace_us += critical ? CLIENT_PACE_CRITICAL_MS * 1000 : 1000 / CLIENT_PACE_PER_MS;
    if (work->pace_us - now_us > CLIENT_PACE_BURST * 1000 / CLIENT_PACE_PER_MS)
        pause_reading(client);
}

/* However many flood the loop with frames that nobody waits for, those who chat have their time.
 * What a lost client left of such is worth none of it. */
static void count_chatter(struct client *client, uint32_t frames)
{
    struct shard *shard = client->shard;
    uint64_t now_us = loop_now_ms(shard->loop) * 1000;
    if (frames < CLIENT_CHATTER_FREE)
        return;
    if (client->lost) {
        client_drop(client);
        return;
    }
    if (shard->chatter_us < now_us)
        shard->chatter_us = now_us;
    shard->chatter_us += (uint64_t)frames * CLIENT_CHATTER_US;
    if (shard->chatter_us - now_us > CLIENT_CHATTER_AHEAD_US)
        pause_until(client, shard->chatter_us);
}

void client_count_refused(struct client *client)
{
    client->shard->read_refused++;
}

void client_hold(struct client *client, uint64_t ms)
{
    if (client->state != CLIENT_OPEN)
        return;
    ws_session_hold(&client->session);
    pause_until(client, (loop_now_ms(client->shard->loop) + ms) * 1000);
}

void client_rest(struct client *client, uint64_t ms)
{
    struct client_work *work = need_pace(client, loop_now_ms(client->shard->loop) * 1000);
    if (work == NULL)
        return;
    work->pace_us += ms * 1000;
    pause_reading(client);
}

static bool client_has_stash(const struct client *client)
{
    return client->work != NULL && client->work->stash != NULL;
}

/* It is looked after at the end of a turn, soon; without memory it is dropped. */
static void await_visit(struct client *client)
{
    struct shard *shard = client->shard;
    struct client_work *work = client->state == CLIENT_OPEN ? client_need_work(client) : NULL;
    if (work == NULL) {
        client_drop(client);
        return;
    }
    work->pace_us = 0;
    if (!list_has_link(&work->paced))
        list_push_back(&shard->paced, &work->paced);
    shard->visits_due = true;
}

void client_lose(struct client *client)
{
    if (client->lost || client->state == CLIENT_GONE)
        return;
    client->lost = true;
    client->close_sent = true; /* so that nothing more is queued */
    /* Else it would be told of in every turn. */
    loop_remove(client->shard->loop, &client->conn.source);
    await_visit(client);
}

/* What a lost client left is in its stash, then in the kernel, which ends with the error. */
static void visit_lost(struct client *client)
{
    struct shard *shard = client->shard;
    size_t got;
    if (client_has_stash(client))
        client_feed_stash(client);
    else if (conn_read(&client->conn, shard->read_buffer, client->read_bytes, &got) == ERR_OK)
        client_feed(client, slice_of(shard->read_buffer, got));
    else
        client_drop(client);
    if (client->state != CLIENT_GONE)
        await_visit(client);
}

void client_unpace(struct client *client)
{
    if (client->work != NULL)
        list_remove(&client->work->paced);
    if (client->lost) {
        visit_lost(client);
        return;
    }
    client_feed_stash(client);
    if (client->state == CLIENT_OPEN)
        client_update_reading(client);
    client_settle(client);
}

/* --- in --- */

static void on_message(void *arg, enum ws_opcode opcode, struct slice payload)
{
    struct client *client = arg;
    const struct hub_opts *opts = hub_opts(client->shard->hub);
    client->shard->read_messages++;
    counter_add(&client->shard->counters.messages_received_total, 1);
    opts->on_message(opts->arg, client, opcode, payload);
    if (client->session.inflated > CLIENT_INFLATED_MAX)
        client_hold(client, 0);
}

static void on_ping(void *arg, struct slice payload)
{
    client_send_control(arg, WS_PONG, payload, OUTQ_PONG);
}

static void on_close(void *arg, unsigned code, struct slice reason)
{
    struct client *client = arg;
    (void)reason;
    client->close_received = true;
    if (client->close_sent)
        client_schedule_flush(client);
    else
        client_close(client, code, "");
}

static void on_error(void *arg, unsigned code, const char *reason)
{
    struct client *client = arg;
    /* What follows cannot be understood, the peer's Close neither: ours is the last word. */
    client->close_received = true;
    counter_add(&client->shard->counters.protocol_errors_total, 1);
    if (client->close_sent)
        client_schedule_flush(client);
    else
        client_close(client, code, reason);
}

const struct ws_handlers client_ws_handlers = {
    .on_message = on_message, .on_ping = on_ping, .on_close = on_close, .on_error = on_error};

/* A message that has begun must be whole in time; each whole one starts the clock anew. */
static void judge_progress(struct client *client)
{
    struct shard *shard = client->shard;
    struct client_work *work = client->work;
    if (!ws_session_is_midway(&client->session)) {
        if (work != NULL)
            list_remove(&work->midway);
    } else if ((work = client_need_work(client)) == NULL) {
        client_end(client, WS_CLOSE_INTERNAL, "out of memory");
    } else if (shard->read_messages != 0 || !list_has_link(&work->midway)) {
        work->midway_since_ms = loop_now_ms(shard->loop);
        list_move_back(&shard->midway, &work->midway);
    }
}

/* Aims at CLIENT_READ_FRAMES in a read: a flood of tiny ones, of whatever kind, gets its share of a
 * turn and no more. */
static void adapt_reading(struct client *client, size_t got)
{
    uint32_t frames = client->shard->read_frames;
    if (frames > CLIENT_READ_FRAMES && client->read_bytes > CLIENT_READ_MIN)
        client->read_bytes /= 2;
    else if (frames < CLIENT_READ_FRAMES / 2 && got >= client->read_bytes &&
             client->read_bytes < CLIENT_READ_MAX)
        client->read_bytes *= 2;
}

/* False without memory, and when there is no pause to wait for. */
static bool put_by(struct client *client, struct slice bytes)
{
    if (!client_is_paced(client))
        return false;
    client->work->stash = stash_try_create(bytes);
    return client->work->stash != NULL;
}

/* What a message holds up is put by; without memory for that nothing is held up. */
static void look_at(struct client *client, struct slice bytes)
{
    struct shard *shard = client->shard;
    uint32_t frames = client->session.frames;
    size_t left, len = bytes.len;
    shard->read_messages = shard->read_refused = 0;
    client->session.inflated = 0;
    do {
        left = ws_session_feed(&client->session, shard->pool, client, bytes);
        bytes = slice_skip(bytes, bytes.len - left);
    } while (left != 0 && !put_by(client, bytes));
    shard->read_frames = client->session.frames - frames;
    shard->read_cost = 1 + shard->read_frames + (uint32_t)(len / CLIENT_COST_BYTES) +
                       client->session.inflated / CLIENT_COST_BYTES;
    client->heavy = shard->read_cost > CLIENT_HEAVY_FROM;
    client->in_long_frame = shard->read_frames == 0 && ws_session_is_midway(&client->session);
    count_chatter(client, shard->read_frames - shard->read_messages + shard->read_refused);
    if (client->state == CLIENT_OPEN)
        judge_progress(client);
}

void client_feed_stash(struct client *client)
{
    struct stash *stash = client_has_stash(client) ? client->work->stash : NULL;
    if (stash == NULL)
        return;
    client->work->stash = NULL;
    if (client->state != CLIENT_FINISHING && client->state != CLIENT_GONE)
        look_at(client, slice_of(stash->bytes, stash->len));
    mem_free(stash);
}

void client_touch(struct client *client)
{
    struct shard *shard = client->shard;
    if (client->state != CLIENT_OPEN || client->left)
        return;
    client->heard_ms = loop_now_ms(shard->loop);
    list_move_back(&shard->quiet, &client->timer);
}

void client_feed(struct client *client, struct slice bytes)
{
    struct shard *shard = client->shard;
    counter_add(&shard->counters.bytes_received_total, bytes.len);
    if (client->state == CLIENT_FINISHING)
        return;
    /* While something waits, taking it is the sign of life: or who only sends would let wait for
     * ever what it never reads. */
    if (client_is_pressed(client))
        client->work->received_ms = loop_now_ms(shard->loop);
    else
        client_touch(client);
    look_at(client, bytes);
    if (!client_has_stash(client))
        adapt_reading(client, bytes.len);
}

static void read_once(struct client *client)
{
    struct shard *shard = client->shard;
    size_t got;
    /* Where a read brings no whole frame there is nothing to be fair about. */
    size_t size = client->in_long_frame ? SHARD_READ_BYTES : client->read_bytes;
    /* What comes of one read must not take all the room that its queue has left. */
    if (client_is_pressed(client))
        size = CLIENT_READ_PRESSED;
    enum err err = conn_read(&client->conn, shard->read_buffer, size, &got);
    if (err == ERR_OK)
        client_feed(client, slice_of(shard->read_buffer, got));
    else if (err != ERR_AGAIN)
        client_drop(client);
    client_settle(client);
}

void client_read_heavy(struct client *client)
{
    bool may_read = (client->conn.source.interest & EPOLLIN) != 0 && !client_has_stash(client);
    if (client->state != CLIENT_GONE && !client->lost && may_read)
        read_once(client);
    else
        client_settle(client);
}

/* False without memory: then it is read from now. */
static bool put_off(struct client *client)
{
    struct client_work *work = client_need_work(client);
    if (work != NULL && !list_has_link(&work->heavy))
        list_push_back(&client->shard->heavy, &work->heavy);
    return work != NULL;
}

void client_on_events(struct client *client, uint32_t events)
{
    if (client->state == CLIENT_GONE || client->lost)
        return;
    if ((events & EPOLLOUT) != 0)
        client_schedule_flush(client);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
        return;
    bool is_broken = (events & (EPOLLHUP | EPOLLERR)) != 0; /* told of in a pause, too */
    if (is_broken && (client->heavy || client_has_stash(client))) {
        client_lose(client);
        return;
    }
    if (client_has_stash(client) || (client->heavy && put_off(client)))
        return;
    client->shard->light_ms = loop_now_ms(client->shard->loop);
    read_once(client);
}
