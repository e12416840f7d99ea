/*
 * What goes out: straight to the socket when nothing waits, into the queue otherwise, and the rules
 * for what may wait.
 */
#include "core/chat/client_io.h"

#include <assert.h>
#include <sys/epoll.h>

#include "core/base/mem.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"
#include "core/ws/frame.h"

/* A message for one client that waits for its turn in the mailbox. */
struct reply {
    struct loop_task task;
    struct client *client;
    size_t len;
    char frame[];
};

/* --- out --- */

bool client_has_waiting(const struct client *client)
{
    return client->work != NULL && !outq_is_empty(&client->work->outq);
}

/* Notes whether the socket is full, and asks to hear when it has room again: who is pressed has
 * something waiting. */
static void set_pressed(struct client *client, bool pressed)
{
    struct loop *loop = client->shard->loop;
    if (pressed && !client_is_pressed(client)) {
        client->work->pressed_ms = loop_now_ms(loop);
        client->work->received_ms = client->heard_ms;
        client_touch(client);
    }
    conn_want_write(&client->conn, loop, pressed);
}

static bool is_over_bounds(const struct client *client)
{
    const struct hub_opts *opts = hub_opts(client->shard->hub);
    const struct outq *outq = &client->work->outq;
    return outq->messages > opts->queue_messages || outq->bytes > opts->queue_bytes;
}

void client_end_slow(struct client *client)
{
    if (client->close_reason != NULL)
        return;
    counter_add(&client->shard->counters.slow_consumers_total, 1);
    client_end(client, WS_CLOSE_SLOW_CONSUMER, "slow consumer");
}

void client_schedule_flush(struct client *client)
{
    if (client->state == CLIENT_ADMITTED || client->state == CLIENT_GONE)
        return;
    client->must_flush = true;
    list_move_back(&client->shard->due, &client->due);
}

static void press_back(struct client *client);

/* Something was added to the queue. What is within the bounds is written at the end of the
 * turn, or when the socket has room again; past them the socket is asked at once, and the bounds
 * are judged by what it left. */
static void judge_queue(struct client *client)
{
    if (!is_over_bounds(client)) {
        if (client_is_pressed(client))
            press_back(client);
        else
            client_schedule_flush(client);
    } else if (client->state == CLIENT_ADMITTED) {
        client_end_slow(client);
    } else {
        client_flush(client);
    }
}

static void enqueue(struct client *client, struct batch *batch, uint32_t offset,
                    enum outq_kind kind)
{
    struct client_work *work = client_need_work(client);
    if (work == NULL || outq_push(&work->outq, batch, offset, kind) != ERR_OK) {
        counter_add(&client->shard->counters.messages_dropped_total,
                    batch_messages_from(batch, offset));
        client_drop(client);
        return;
    }
    batch_hold(batch, &client->shard->held_bytes);
    judge_queue(client);
}

bool client_takes_at_once(struct client *client, struct batch *batch, bool queue_only)
{
    if (client->close_sent || client->state == CLIENT_GONE)
        return false;
    if (!queue_only && client->state != CLIENT_ADMITTED && !client_has_waiting(client))
        return true;
    enqueue(client, batch, 0, OUTQ_MESSAGES);
    return false;
}

/* The socket did not take the batch whole. Apart, so that for those that do no register is saved.
 */
__attribute__((cold)) static bool fell_short(struct client *client, struct batch *batch,
                                             enum err err, size_t sent)
{
    if (err != ERR_OK) {
        client_lose(client);
        return false;
    }
    struct counters *counters = &client->shard->counters;
    uint32_t waiting = batch_messages_from(batch, (uint32_t)sent);
    counter_add(&counters->messages_delivered_total, batch->count - waiting);
    counter_add(&counters->bytes_sent_total, sent);
    if (client_need_work(client) != NULL)
        set_pressed(client, true);
    enqueue(client, batch, (uint32_t)sent, OUTQ_MESSAGES);
    return false;
}

bool client_delivered(struct client *client, struct batch *batch, enum err err, size_t sent)
{
    return (err == ERR_OK && sent == batch->len) || fell_short(client, batch, err, sent);
}

bool client_deliver(struct client *client, struct batch *batch, bool queue_only)
{
    size_t sent;
    if (!client_takes_at_once(client, batch, queue_only))
        return false;
    enum err err = conn_write(&client->conn, batch->bytes, batch->len, &sent);
    return (err == ERR_OK && sent == batch->len) || fell_short(client, batch, err, sent);
}

void client_deliver_rest(struct client *client, struct batch *batch, uint32_t offset)
{
    if (!client->close_sent && client->state != CLIENT_GONE && offset < batch->len)
        enqueue(client, batch, offset, OUTQ_MESSAGES);
}

/* Sends FIN once both Closes are through; the peer's FIN is then awaited, so that nothing that it
 * still sends turns our Close into a reset. */
static void finish_if_closed(struct client *client)
{
    if (client->state != CLIENT_CLOSING || !client->close_sent || !client->close_received)
        return;
    conn_finish(&client->conn);
    ws_session_fini(&client->session, client->shard->pool);
    client->state = CLIENT_FINISHING;
}

/* False when the socket is full or broken. */
static bool write_some(struct client *client)
{
    struct iovec parts[CONN_IOV_MAX];
    struct counters *counters = &client->shard->counters;
    size_t sent, offered = 0;
    struct outq *outq = &client->work->outq;
    int count = outq_gather(outq, parts, CONN_IOV_MAX);
    for (int i = 0; i < count; i++)
        offered += parts[i].iov_len;
    if (conn_write_gathered(&client->conn, parts, count, &sent) != ERR_OK) {
        client_lose(client);
        return false;
    }
    counter_add(&counters->messages_delivered_total, outq_advance(outq, sent));
    counter_add(&counters->bytes_sent_total, sent);
    if (sent != 0 && client_is_pressed(client))
        client_touch(client);
    return sent == offered;
}

void client_update_reading(struct client *client)
{
    bool wanted = !client->throttled && !client_is_paced(client);
    if (client->lost)
        return;
    conn_want_read(&client->conn, client->shard->loop, wanted || client->state != CLIENT_OPEN);
}

/*
 * Who sends faster than it reads is not read from until it has caught up: TCP slows it down, and a
 * burst that comes back to its own sender does not make a slow consumer of it. Whoever takes
 * nothing any more is ended for that when the heartbeat would be.
 */
static void press_back(struct client *client)
{
    size_t bound = hub_opts(client->shard->hub)->queue_messages;
    size_t messages = client->work != NULL ? client->work->outq.messages : 0;
    if (messages > bound / 2)
        client->throttled = true;
    else if (messages <= bound / 4)
        client->throttled = false;
    client_update_reading(client);
}

void client_flush(struct client *client)
{
    if (client->state == CLIENT_ADMITTED || client->state == CLIENT_GONE || client->lost)
        return;
    while (client_has_waiting(client))
        if (!write_some(client))
            break;
    if (client->state == CLIENT_GONE || client->lost)
        return;
    bool waits = client_has_waiting(client);
    set_pressed(client, waits);
    press_back(client);
    if (!waits) {
        finish_if_closed(client);
        client_settle(client);
    } else if (is_over_bounds(client)) {
        client_end_slow(client);
    }
}

void client_send_frame(struct client *client, struct slice frame, enum outq_kind kind)
{
    if (client->close_sent || client->state == CLIENT_GONE)
        return;
    bool only_latest = kind == OUTQ_PONG && client_is_pressed(client);
    if (!only_latest && client_has_waiting(client) &&
        outq_append(&client->work->outq, frame, kind)) {
        judge_queue(client);
        return;
    }
    struct batch *batch = batch_try_create();
    if (batch == NULL || batch_append(batch, frame, 0) != ERR_OK)
        client_drop(client);
    else if (!only_latest || !client_has_waiting(client) ||
             !outq_replace(&client->work->outq, batch, kind))
        enqueue(client, batch, 0, kind);
    batch_release(batch);
}

void client_send_control(struct client *client, enum ws_opcode opcode, struct slice payload,
                         enum outq_kind kind)
{
    char frame[WS_CONTROL_FRAME_MAX];
    size_t header_len = ws_frame_write_header(opcode, false, payload.len, frame);
    assert(header_len + payload.len <= sizeof frame);
    if (payload.len != 0)
        memcpy(frame + header_len, payload.ptr, payload.len);
    client_send_frame(client, slice_of(frame, header_len + payload.len), kind);
}

void client_ping(struct client *client)
{
    client_send_control(client, WS_PING, SLICE_NONE, OUTQ_PING);
}

void client_send(struct client *client, enum ws_opcode opcode, struct slice payload)
{
    size_t header_len = ws_frame_header_len(payload.len);
    char *frame = mem_try_alloc(header_len + payload.len);
    if (frame == NULL) {
        client_end(client, WS_CLOSE_INTERNAL, "out of memory");
        return;
    }
    ws_frame_write_header(opcode, false, payload.len, frame);
    memcpy(frame + header_len, payload.ptr, payload.len);
    client_send_frame(client, slice_of(frame, header_len + payload.len), OUTQ_MESSAGES);
    mem_free(frame);
}

void client_queue_taken_of(struct client *client, struct membership *membership)
{
    if (membership->room == NULL || membership->index == MEMBERSHIP_OUT)
        return;
    struct room_part *part = &membership->room->parts[client->shard->index];
    struct batch *batch = room_part_batch(part, client->deflate_out);
    if (batch == NULL)
        return;
    client_deliver_rest(client, batch, membership->taken_of == batch ? membership->taken : 0);
    membership->taken_of = batch;
    membership->taken = batch->len;
}

static void run_reply(struct loop_task *task, struct loop *loop)
{
    struct reply *reply = (struct reply *)task;
    struct client *client = reply->client;
    (void)loop;
    if (client_task_done(client)) {
        /* Behind what the turn brought. */
        client_queue_taken(client);
        client_send_frame(client, slice_of(reply->frame, reply->len), OUTQ_MESSAGES);
    }
    mem_free(reply);
}

void client_reply(struct client *client, struct slice json)
{
    size_t header_len = ws_frame_header_len(json.len);
    struct reply *reply = mem_try_alloc(sizeof *reply + header_len + json.len);
    if (reply == NULL) {
        client_end(client, WS_CLOSE_INTERNAL, "out of memory");
        return;
    }
    *reply = (struct reply){.task.run = run_reply, .client = client, .len = header_len + json.len};
    ws_frame_write_header(WS_TEXT, false, json.len, reply->frame);
    memcpy(reply->frame + header_len, json.ptr, json.len);
    client_task_begin(client);
    loop_post(client->shard->loop, &reply->task);
}

void client_reply_now(struct client *client, struct slice json)
{
    client_queue_taken(client);
    client_send(client, WS_TEXT, json);
}
