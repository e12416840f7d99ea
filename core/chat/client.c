/*
 * How a client ends. Whoever wants it ended, from wherever, only notes that (client_close,
 * client_end, client_drop); the end of the turn carries it out (client_leave), when no array is
 * walked and all that the turn brought was written. client_close goes by way of the mailbox first,
 * so that what the client itself published just before comes back to it ahead of the Close.
 */
#include "core/chat/client.h"

#include <assert.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"
#include "core/ws/frame.h"

enum { FULL_WINDOW_BITS = 15 };

/* A message for one client that waits for its turn in the mailbox. */
struct reply {
    struct loop_task task;
    struct client *client;
    size_t len;
    char frame[];
};

struct attach {
    struct loop_task task;
    struct client *client;
    int fd;
    size_t early_len;
    char early[];
};

/* --- beginning --- */

bool client_takes_deflate(const struct deflate_params *deflate)
{
    /* A smaller window would need frames of its own: such a client gets plain ones. */
    return deflate->enabled && deflate->server_window_bits == FULL_WINDOW_BITS;
}

struct client *client_try_create(struct shard *shard, const struct deflate_params *deflate)
{
    struct client *client = mem_try_alloc(sizeof *client);
    if (client == NULL)
        return NULL;
    *client =
        (struct client){.shard = shard, .conn.source.fd = -1, .read_bytes = CLIENT_READ_FIRST};
    ws_session_init(&client->session, deflate);
    client->deflate_out = client_takes_deflate(deflate);
    outq_init(&client->outq);
    uuid_make_v7(client->id);
    return client;
}

static void run_join(struct loop_task *task, struct loop *loop)
{
    struct client *client = LIST_ENTRY(task, struct client, task);
    unsigned index = client->shard->index;
    (void)loop;
    client->tasks--;
    enum err err = room_part_add(&client->global.room->parts[index], client, &client->global);
    if (err == ERR_OK && client->room.room != NULL) {
        err = room_part_add(&client->room.room->parts[index], client, &client->room);
        if (err != ERR_OK)
            room_part_remove(&client->global.room->parts[index], &client->global);
    }
    client->joined = err == ERR_OK;
    if (err != ERR_OK)
        client_end(client, WS_CLOSE_INTERNAL, "out of memory");
}

void client_join(struct client *client)
{
    client->task = (struct loop_task){.run = run_join};
    client->tasks++;
    loop_post(client->shard->loop, &client->task);
}

static void feed(struct client *client, struct slice bytes);

static void run_attach(struct loop_task *task, struct loop *loop)
{
    struct attach *attach = (struct attach *)task;
    struct client *client = attach->client;
    struct shard *shard = client->shard;
    client->heard_ms = loop_now_ms(loop);
    if (conn_open(&client->conn, loop, attach->fd) != ERR_OK) {
        client->state = CLIENT_CLOSING;
        client_drop(client);
    } else {
        counter_add(&shard->counters.connections_total, 1);
        log_info("client:connected", log_user(client_id(client)),
                 log_room(client->room.room != NULL ? client->room.room->name : SLICE_NONE));
        client->state = client->close_sent ? CLIENT_CLOSING : CLIENT_OPEN;
        list_push_back(client->close_sent ? &shard->ending : &shard->quiet, &client->timer);
        if (!outq_is_empty(&client->outq))
            list_move_back(&shard->flush, &client->flush);
        if (hub_is_draining(shard->hub))
            client_end(client, WS_CLOSE_GOING_AWAY, "server is shutting down");
        else if (attach->early_len != 0)
            feed(client, slice_of(attach->early, attach->early_len));
    }
    mem_free(attach);
}

static void run_abandon(struct loop_task *task, struct loop *loop)
{
    struct attach *attach = (struct attach *)task;
    (void)loop;
    attach->client->state = CLIENT_CLOSING;
    client_drop(attach->client);
    mem_free(attach);
}

static void post_attach(struct client *client, int fd, struct slice early,
                        void (*run)(struct loop_task *, struct loop *))
{
    struct attach *attach = mem_zalloc(sizeof *attach + early.len);
    *attach = (struct attach){.task.run = run, .client = client, .fd = fd, .early_len = early.len};
    if (early.len != 0)
        memcpy(attach->early, early.ptr, early.len);
    loop_post(client->shard->loop, &attach->task);
}

void client_attach(struct client *client, int fd, struct slice early)
{
    post_attach(client, fd, early, run_attach);
}

void client_abandon(struct client *client)
{
    post_attach(client, -1, SLICE_NONE, run_abandon);
}

/* --- questions --- */

struct slice client_id(const struct client *client)
{
    return slice_of(client->id, sizeof client->id);
}

struct shard *client_shard(const struct client *client)
{
    return client->shard;
}

struct room *client_room(const struct client *client)
{
    return client->room.room;
}

bool client_is_pressed(const struct client *client)
{
    return (client->conn.source.interest & EPOLLOUT) != 0;
}

bool client_is_critical(const struct client *client)
{
    const struct shard *shard = client->shard;
    return client_is_pressed(client) &&
           client->outq.messages > hub_opts(shard->hub)->queue_messages / 2 &&
           loop_now_ms(shard->loop) < client->pressed_ms + CLIENT_PACE_GRACE_MS;
}

/* --- out --- */

/* Notes whether the socket is full, and asks to hear when it has room again. */
static void set_pressed(struct client *client, bool pressed)
{
    struct loop *loop = client->shard->loop;
    if (pressed && !client_is_pressed(client))
        client->pressed_ms = loop_now_ms(loop);
    conn_want_write(&client->conn, loop, pressed);
}

static bool is_over_bounds(const struct client *client)
{
    const struct hub_opts *opts = hub_opts(client->shard->hub);
    return client->outq.messages > opts->queue_messages || client->outq.bytes > opts->queue_bytes;
}

static void end_slow(struct client *client)
{
    if (client->close_reason != NULL)
        return;
    counter_add(&client->shard->counters.slow_consumers_total, 1);
    client_end(client, WS_CLOSE_SLOW_CONSUMER, "slow consumer");
}

static void schedule_flush(struct client *client)
{
    if (client->state != CLIENT_ADMITTED && client->state != CLIENT_GONE)
        list_move_back(&client->shard->flush, &client->flush);
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
            schedule_flush(client);
    } else if (client->state == CLIENT_ADMITTED) {
        end_slow(client);
    } else {
        client_flush(client);
    }
}

static void enqueue(struct client *client, struct batch *batch, uint32_t offset,
                    enum outq_kind kind)
{
    if (outq_push(&client->outq, batch, offset, kind) != ERR_OK) {
        counter_add(&client->shard->counters.messages_dropped_total,
                    batch_messages_from(batch, offset));
        client_drop(client);
        return;
    }
    judge_queue(client);
}

bool client_deliver(struct client *client, struct batch *batch, bool queue_only)
{
    size_t sent;
    if (client->close_sent || client->state == CLIENT_GONE)
        return false;
    if (queue_only || client->state == CLIENT_ADMITTED || !outq_is_empty(&client->outq)) {
        enqueue(client, batch, 0, OUTQ_MESSAGES);
        return false;
    }
    if (conn_write(&client->conn, batch->bytes, batch->len, &sent) != ERR_OK) {
        client_drop(client);
        return false;
    }
    if (sent == batch->len)
        return true;
    struct counters *counters = &client->shard->counters;
    uint32_t waiting = batch_messages_from(batch, (uint32_t)sent);
    counter_add(&counters->messages_delivered_total, batch->count - waiting);
    counter_add(&counters->bytes_sent_total, sent);
    set_pressed(client, true);
    enqueue(client, batch, (uint32_t)sent, OUTQ_MESSAGES);
    return false;
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
    int count = outq_gather(&client->outq, parts, CONN_IOV_MAX);
    for (int i = 0; i < count; i++)
        offered += parts[i].iov_len;
    if (conn_write_gathered(&client->conn, parts, count, &sent) != ERR_OK) {
        client_drop(client);
        return false;
    }
    counter_add(&counters->messages_delivered_total, outq_advance(&client->outq, sent));
    counter_add(&counters->bytes_sent_total, sent);
    return sent == offered;
}

static void update_reading(struct client *client)
{
    bool wanted = !client->throttled && !list_has_link(&client->paced);
    conn_want_read(&client->conn, client->shard->loop, wanted || client->state != CLIENT_OPEN);
}

/*
 * Who sends faster than it reads is not read from until it has caught up: TCP slows it down, and a
 * burst that comes back to its own sender does not make a slow consumer of it. Whoever never
 * catches up falls silent by that, and the heartbeat ends it.
 */
static void press_back(struct client *client)
{
    size_t bound = hub_opts(client->shard->hub)->queue_messages;
    if (client->outq.messages > bound / 2)
        client->throttled = true;
    else if (client->outq.messages <= bound / 4)
        client->throttled = false;
    update_reading(client);
}

void client_flush(struct client *client)
{
    if (client->state == CLIENT_ADMITTED || client->state == CLIENT_GONE)
        return;
    while (!outq_is_empty(&client->outq))
        if (!write_some(client))
            break;
    if (client->state == CLIENT_GONE)
        return;
    bool waits = !outq_is_empty(&client->outq);
    set_pressed(client, waits);
    press_back(client);
    if (!waits) {
        outq_fini(&client->outq);
        finish_if_closed(client);
    } else if (is_over_bounds(client)) {
        end_slow(client);
    }
}

static void send_alone(struct client *client, struct slice frame, enum outq_kind kind)
{
    if (client->close_sent || client->state == CLIENT_GONE)
        return;
    bool only_latest = kind == OUTQ_PONG && client_is_pressed(client);
    if (!only_latest && outq_append(&client->outq, frame, kind)) {
        judge_queue(client);
        return;
    }
    struct batch *batch = batch_try_create();
    if (batch == NULL || batch_append(batch, frame, 0) != ERR_OK)
        client_drop(client);
    else if (!only_latest || !outq_replace(&client->outq, batch, kind))
        enqueue(client, batch, 0, kind);
    batch_release(batch);
}

static void send_control(struct client *client, enum ws_opcode opcode, struct slice payload,
                         enum outq_kind kind)
{
    char frame[WS_CONTROL_FRAME_MAX];
    size_t header_len = ws_frame_write_header(opcode, false, payload.len, frame);
    assert(header_len + payload.len <= sizeof frame);
    if (payload.len != 0)
        memcpy(frame + header_len, payload.ptr, payload.len);
    send_alone(client, slice_of(frame, header_len + payload.len), kind);
}

void client_ping(struct client *client)
{
    send_control(client, WS_PING, SLICE_NONE, OUTQ_PING);
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
    send_alone(client, slice_of(frame, header_len + payload.len), OUTQ_MESSAGES);
    mem_free(frame);
}

/* What the turn brought the room so far goes into the queue ahead of a reply. */
static void queue_taken(struct client *client, struct membership *membership)
{
    if (membership->room == NULL)
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
    client->tasks--;
    if (client->state == CLIENT_GONE) {
        list_move_back(&client->shard->leave, &client->leave);
    } else if (!client->left) {
        queue_taken(client, &client->room);
        queue_taken(client, &client->global);
        send_alone(client, slice_of(reply->frame, reply->len), OUTQ_MESSAGES);
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
    client->tasks++;
    loop_post(client->shard->loop, &reply->task);
}

/* --- the pace of senders --- */

void client_count_publish(struct client *client, const struct room *room, size_t bytes)
{
    struct shard *shard = client->shard;
    uint64_t now_ms = loop_now_ms(shard->loop), now_us = now_ms * 1000;
    uint64_t pressed_ms = atomic_load_explicit(&room->pressed_ms, memory_order_relaxed);
    if (pressed_ms == 0 || now_ms > pressed_ms + CLIENT_PACE_AFTER_MS)
        return;
    if (client->pace_us < now_us)
        client->pace_us = now_us;
    uint64_t critical_ms = atomic_load_explicit(&room->critical_ms, memory_order_relaxed);
    bool critical = critical_ms != 0 && now_ms <= critical_ms + CLIENT_PACE_AFTER_MS;
    client->pace_us += bytes / CLIENT_PACE_BYTES_PER_US;
    client->pace_us += critical ? CLIENT_PACE_CRITICAL_MS * 1000 : 1000 / CLIENT_PACE_PER_MS;
    if (client->pace_us - now_us <= CLIENT_PACE_BURST * 1000 / CLIENT_PACE_PER_MS)
        return;
    if (client->state == CLIENT_OPEN && !list_has_link(&client->paced)) {
        list_push_back(&shard->paced, &client->paced);
        update_reading(client);
    }
}

void client_unpace(struct client *client)
{
    list_remove(&client->paced);
    if (client->state == CLIENT_OPEN)
        update_reading(client);
}

/* --- in --- */

static void on_message(void *arg, enum ws_opcode opcode, struct slice payload)
{
    struct client *client = arg;
    const struct hub_opts *opts = hub_opts(client->shard->hub);
    client->read_messages++;
    counter_add(&client->shard->counters.messages_received_total, 1);
    opts->on_message(opts->arg, client, opcode, payload);
}

static void on_ping(void *arg, struct slice payload)
{
    send_control(arg, WS_PONG, payload, OUTQ_PONG);
}

static void on_close(void *arg, unsigned code, struct slice reason)
{
    struct client *client = arg;
    (void)reason;
    client->close_received = true;
    if (client->close_sent)
        schedule_flush(client);
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
        schedule_flush(client);
    else
        client_close(client, code, reason);
}

const struct ws_handlers client_ws_handlers = {
    .on_message = on_message, .on_ping = on_ping, .on_close = on_close, .on_error = on_error};

/* A message that has begun must be whole in time; each whole one starts the clock anew. */
static void judge_progress(struct client *client)
{
    struct shard *shard = client->shard;
    if (!ws_session_is_midway(&client->session)) {
        list_remove(&client->midway);
    } else if (client->read_messages != 0 || !list_has_link(&client->midway)) {
        client->midway_since_ms = loop_now_ms(shard->loop);
        list_move_back(&shard->midway, &client->midway);
    }
}

/* Aims at CLIENT_READ_FRAMES in a read: a flood of tiny ones, of whatever kind, gets its share of a
 * turn and no more. */
static void adapt_reading(struct client *client, size_t got)
{
    if (client->read_frames > CLIENT_READ_FRAMES && client->read_bytes > CLIENT_READ_MIN)
        client->read_bytes /= 2;
    else if (client->read_frames < CLIENT_READ_FRAMES / 2 && got >= client->read_bytes &&
             client->read_bytes < CLIENT_READ_MAX)
        client->read_bytes *= 2;
}

static void feed(struct client *client, struct slice bytes)
{
    struct shard *shard = client->shard;
    counter_add(&shard->counters.bytes_received_total, bytes.len);
    if (client->state == CLIENT_FINISHING)
        return;
    if (client->state == CLIENT_OPEN && !client->left) {
        client->heard_ms = loop_now_ms(shard->loop);
        list_move_back(&shard->quiet, &client->timer);
    }
    uint32_t frames = client->session.frames;
    client->read_messages = 0;
    ws_session_feed(&client->session, shard->pool, client, bytes);
    client->read_frames = (uint16_t)(client->session.frames - frames);
    adapt_reading(client, bytes.len);
    if (client->state == CLIENT_OPEN)
        judge_progress(client);
}

/* A read that brought no whole frame, and more is to come: there is nothing to be fair about. */
static bool is_in_long_message(const struct client *client)
{
    return client->read_frames == 0 && ws_session_is_midway(&client->session);
}

void client_on_events(struct client *client, uint32_t events)
{
    struct shard *shard = client->shard;
    size_t got;
    if (client->state == CLIENT_GONE)
        return;
    if ((events & EPOLLOUT) != 0)
        schedule_flush(client);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
        return;
    size_t size = is_in_long_message(client) ? SHARD_READ_BYTES : client->read_bytes;
    /* What comes of one read must not take all the room that its queue has left. */
    if (client_is_pressed(client))
        size = CLIENT_READ_PRESSED;
    enum err err = conn_read(&client->conn, shard->read_buffer, size, &got);
    if (err == ERR_OK)
        feed(client, slice_of(shard->read_buffer, got));
    else if (err != ERR_AGAIN)
        client_drop(client);
}

/* --- ending --- */

static void run_close(struct loop_task *task, struct loop *loop)
{
    struct client *client = LIST_ENTRY(task, struct client, task);
    (void)loop;
    client->tasks--;
    list_move_back(&client->shard->leave, &client->leave);
}

/* Notes why the client ends; false when that is settled already. */
static bool note_end(struct client *client, unsigned code, const char *reason)
{
    if (client->close_reason != NULL)
        return false;
    client->close_code = (uint16_t)code;
    client->close_reason = reason;
    ws_session_ignore_data(&client->session);
    return true;
}

void client_close(struct client *client, unsigned code, const char *reason)
{
    if (!note_end(client, code, reason))
        return;
    client->task = (struct loop_task){.run = run_close};
    client->tasks++;
    loop_post(client->shard->loop, &client->task);
}

void client_end(struct client *client, unsigned code, const char *reason)
{
    if (note_end(client, code, reason))
        list_move_back(&client->shard->leave, &client->leave);
}

void client_drop(struct client *client)
{
    /* Whoever admitted it still holds the pointer: it ends when its socket comes or is given up. */
    if (client->state == CLIENT_ADMITTED) {
        client_end(client, WS_CLOSE_INTERNAL, "out of memory");
        return;
    }
    client->state = CLIENT_GONE;
    list_move_back(&client->shard->leave, &client->leave);
}

static void leave_rooms(struct client *client)
{
    struct shard *shard = client->shard;
    struct membership *memberships[] = {&client->room, &client->global};
    client->left = true;
    log_info("client:disconnected", log_user(client_id(client)),
             log_room(client->room.room != NULL ? client->room.room->name : SLICE_NONE),
             log_uint("code", client->close_reason != NULL ? client->close_code : 1006),
             log_str("reason", client->close_reason));
    for (size_t i = 0; i < sizeof memberships / sizeof *memberships; i++) {
        if (memberships[i]->room == NULL)
            continue;
        if (client->joined)
            room_part_remove(&memberships[i]->room->parts[shard->index], memberships[i]);
        hub_release_membership(shard->hub, memberships[i], shard->index, client->deflate_out);
    }
    hub_client_left(shard->hub);
}

static void begin_closing(struct client *client)
{
    struct shard *shard = client->shard;
    char bytes[WS_CONTROL_FRAME_MAX];
    /* In the middle of a frame no Close of the peer's can be made out: ours is the last word. */
    if (client->close_code == WS_CLOSE_MESSAGE_TIMEOUT)
        client->close_received = true;
    if (client->close_code == WS_CLOSE_SLOW_CONSUMER)
        counter_add(&shard->counters.messages_dropped_total, outq_drop_unsent(&client->outq));
    size_t len = ws_frame_write_close(client->close_code, slice_str(client->close_reason), bytes);
    send_alone(client, slice_of(bytes, len), OUTQ_CLOSE);
    client->close_sent = true;
    schedule_flush(client);
    list_remove(&client->midway);
    if (client->state != CLIENT_OPEN)
        return;
    client->state = CLIENT_CLOSING;
    client_unpace(client);
    update_reading(client);
    client->heard_ms = loop_now_ms(shard->loop);
    list_move_back(&shard->ending, &client->timer);
}

static void free_client(struct client *client)
{
    struct shard *shard = client->shard;
    struct list_link *links[] = {&client->timer, &client->midway, &client->flush, &client->leave,
                                 &client->paced};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        list_remove(links[i]);
    counter_add(&shard->counters.messages_dropped_total, client->outq.messages);
    /* What the peer did not take in time must not stay in the kernel. */
    bool unsent = client->close_sent && !outq_is_empty(&client->outq);
    conn_close(&client->conn, shard->loop, unsent);
    ws_session_fini(&client->session, shard->pool);
    outq_fini(&client->outq);
    hub_client_freed(shard->hub);
    mem_free(client);
}

void client_leave(struct client *client)
{
    if (!client->left)
        leave_rooms(client);
    if (client->state == CLIENT_GONE) {
        /* With a task still in the mailbox, it comes by here once more. */
        if (client->tasks == 0)
            free_client(client);
    } else if (!client->close_sent) {
        begin_closing(client);
    }
}
