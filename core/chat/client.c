/*
 * How a client ends. Whoever wants it ended, from wherever, only notes that (client_close,
 * client_end, client_drop); the end of the turn carries it out (client_leave), when no array is
 * walked and all that the turn brought was written. client_close goes by way of the mailbox first,
 * so that what the client itself published just before comes back to it ahead of the Close.
 */
#include "core/chat/client.h"

#include <assert.h>
#include <sys/epoll.h>

#include "core/auth/user.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/chat/client_io.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"
#include "core/limit/strikes.h"
#include "core/ws/frame.h"

enum { FULL_WINDOW_BITS = 15 };

/* --- beginning --- */

bool client_takes_deflate(const struct deflate_params *deflate)
{
    /* A smaller window would need frames of its own: such a client gets plain ones. */
    return deflate->enabled && deflate->server_window_bits == FULL_WINDOW_BITS;
}

struct client *client_try_create(struct shard *shard, const struct hub_admission *admission)
{
    struct client *client = slab_try_alloc(&shard->clients);
    if (client == NULL)
        return NULL;
    *client =
        (struct client){.shard = shard,
                        .conn.source.fd = -1,
                        .read_bytes = CLIENT_READ_FIRST,
                        .global.index = MEMBERSHIP_OUT,
                        .room.index = MEMBERSHIP_OUT,
                        .events = admission->events,
                        .user = admission->user != NULL ? user_retain(admission->user) : NULL};
    agenda_entry_init(&client->expiry);
    ws_session_init(&client->session, admission->deflate);
    client->deflate_out = client_takes_deflate(admission->deflate);
    uuid_make_v7(client->id);
    if (client_need_work(client) != NULL)
        return client;
    client_discard(client);
    return NULL;
}

/* What was said to those who were here before it. */
static void say_notice(struct client *client)
{
    const struct message *notice = client->shard->notice;
    if (client->events && notice != NULL)
        client_send(client, WS_TEXT, message_payload(notice));
}

void client_discard(struct client *client)
{
    client_end_work(client);
    user_release(client->user);
    slab_free(&client->shard->clients, client);
}

static void run_join(struct loop_task *task, struct loop *loop)
{
    struct client *client = LIST_ENTRY(task, struct client_work, task)->client;
    (void)loop;
    client->tasks--;
    const struct hub_opts *opts = hub_opts(client->shard->hub);
    if (client_enter_reserved(client) != ERR_OK) {
        client_end(client, WS_CLOSE_INTERNAL, "out of memory");
        return;
    }
    if (opts->on_join != NULL)
        opts->on_join(opts->arg, client);
    say_notice(client);
}

void client_join(struct client *client)
{
    client->work->task = (struct loop_task){.run = run_join};
    client->tasks++;
    loop_post_lazily(client->shard->loop, &client->work->task);
}

/* When `left_ms` of the token's time are left (leeway included) it is the moment to say so. */
static uint64_t wait_before_warning_ms(uint64_t left_ms, uint64_t short_wait_ms)
{
    const uint64_t ahead_ms = CLIENT_EXPIRING_MS + USER_LEEWAY_MS;
    return left_ms > ahead_ms ? left_ms - ahead_ms : short_wait_ms;
}

/* By the clock that does not jump, which the wall's may do. */
static enum err arm_expiry(struct client *client, bool is_new)
{
    struct shard *shard = client->shard;
    if (client->user == NULL || client->close_sent)
        return ERR_OK;
    uint64_t left_ms = user_time_left_ms(client->user, clock_wall_ms());
    uint64_t wait_ms = left_ms;
    if (client->events && !client->warned)
        wait_ms = wait_before_warning_ms(left_ms, is_new ? 0 : left_ms / 2);
    return agenda_set(&shard->expiries, &client->expiry, loop_now_ms(shard->loop) + wait_ms);
}

/* Looks at what came with the socket. */
static void feed_early(struct client *client)
{
    struct stash *early = client->work->stash;
    client->work->stash = NULL;
    if (early != NULL)
        client_feed(client, slice_of(early->bytes, early->len));
    mem_free(early);
}

static void open_client(struct client *client)
{
    struct shard *shard = client->shard;
    counter_add(&shard->counters.connections_total, 1);
    log_info("client:connected", log_user(client_user_id(client)),
             log_room(client->home != NULL ? client->home->name : SLICE_NONE));
    client->state = client->close_sent ? CLIENT_CLOSING : CLIENT_OPEN;
    list_push_back(client->close_sent ? &shard->ending : &shard->quiet, &client->timer);
    if (client_has_waiting(client))
        client_schedule_flush(client);
    if (hub_is_draining(shard->hub))
        client_end(client, WS_CLOSE_GOING_AWAY, "server is shutting down");
    else if (client->work->early_lost || arm_expiry(client, true) != ERR_OK)
        client_end(client, WS_CLOSE_INTERNAL, "out of memory");
    feed_early(client); /* who ends is heard as far as its Close */
}

static void run_attach(struct loop_task *task, struct loop *loop)
{
    struct client_work *work = LIST_ENTRY(task, struct client_work, arrival);
    struct client *client = work->client;
    client->heard_ms = loop_now_ms(loop);
    if (conn_open(&client->conn, loop, work->fd) != ERR_OK) {
        client->state = CLIENT_CLOSING;
        client_drop(client);
        return;
    }
    open_client(client);
    client_settle(client);
}

static void run_abandon(struct loop_task *task, struct loop *loop)
{
    struct client_work *work = LIST_ENTRY(task, struct client_work, arrival);
    (void)loop;
    work->client->state = CLIENT_CLOSING;
    client_drop(work->client);
}

static void post_arrival(struct client *client, int fd,
                         void (*run)(struct loop_task *, struct loop *))
{
    struct client_work *work = client->work;
    work->fd = fd;
    work->arrival = (struct loop_task){.run = run};
    loop_post(client->shard->loop, &work->arrival);
}

void client_attach(struct client *client, int fd, struct slice early)
{
    /* Peers decide how much came early. */
    if (early.len != 0) {
        client->work->stash = stash_try_create(early);
        client->work->early_lost = client->work->stash == NULL;
    }
    post_arrival(client, fd, run_attach);
}

void client_abandon(struct client *client)
{
    post_arrival(client, -1, run_abandon);
}

void client_task_begin(struct client *client)
{
    client->tasks++;
}

bool client_task_done(struct client *client)
{
    client->tasks--;
    if (client->state == CLIENT_GONE)
        client_schedule_leave(client); /* freed once no task is left */
    return client->state != CLIENT_GONE && !client->left;
}

/* --- questions --- */

struct slice client_id(const struct client *client)
{
    return slice_of(client->id, sizeof client->id);
}

const struct user *client_user(const struct client *client)
{
    return client->user;
}

struct slice client_user_id(const struct client *client)
{
    return client->user != NULL ? client->user->id : client_id(client);
}

struct shard *client_shard(const struct client *client)
{
    return client->shard;
}

bool client_is_heavy(const struct client *client)
{
    return client->heavy;
}

struct room *client_home(const struct client *client)
{
    return client->home;
}

bool client_is_events(const struct client *client)
{
    return client->events;
}

void *client_data(const struct client *client)
{
    return client->data;
}

void client_set_data(struct client *client, void *data)
{
    client->data = data;
}

bool client_is_behind(const struct client *client)
{
    const struct hub_opts *opts = hub_opts(client->shard->hub);
    const struct client_work *work = client->work;
    return work != NULL && (work->outq.messages > opts->queue_messages / 2 ||
                            work->outq.bytes > opts->queue_bytes / 2);
}

bool client_is_pressed(const struct client *client)
{
    return (client->conn.source.interest & EPOLLOUT) != 0;
}

bool client_is_critical(const struct client *client)
{
    const struct shard *shard = client->shard;
    const struct client_work *work = client->work;
    return client_is_pressed(client) && work != NULL &&
           work->outq.messages > hub_opts(shard->hub)->queue_messages / 2 &&
           loop_now_ms(shard->loop) < work->pressed_ms + CLIENT_PACE_GRACE_MS;
}

/* --- who it is --- */

enum err client_set_user(struct client *client, struct user *user)
{
    struct user *old = client->user;
    bool was_warned = client->warned;
    client->user = user;
    client->warned = was_warned && user->expires_ms <= old->expires_ms;
    enum err err = arm_expiry(client, false);
    if (err != ERR_OK) {
        client->user = old;
        client->warned = was_warned;
        return err;
    }
    user_retain(user);
    user_release(old);
    return ERR_OK;
}

/* From now on its end is waited for; an entry that is in is moved without memory. */
static void warn(struct client *client)
{
    const struct hub_opts *opts = hub_opts(client->shard->hub);
    client->warned = true;
    enum err err = arm_expiry(client, false);
    assert(err == ERR_OK);
    (void)err;
    if (opts->on_expiring != NULL)
        opts->on_expiring(opts->arg, client);
}

void client_expire(struct client *client)
{
    if (client->events && !client->warned && client->close_reason == NULL) {
        warn(client);
        return;
    }
    agenda_remove(&client->shard->expiries, &client->expiry);
    if (client->close_reason == NULL)
        counter_add(&client->shard->counters.auth_ended_total, 1);
    client_end(client, WS_CLOSE_AUTH_ENDED, "authentication ended");
}

/* --- ending --- */

void client_schedule_leave(struct client *client)
{
    client->must_leave = true;
    list_move_back(&client->shard->due, &client->due);
}

static void run_close(struct loop_task *task, struct loop *loop)
{
    struct client *client = LIST_ENTRY(task, struct client_work, task)->client;
    (void)loop;
    client->tasks--;
    client_schedule_leave(client);
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
    struct client_work *work = client_need_work(client);
    if (work == NULL) {
        client_schedule_leave(client);
        return;
    }
    work->task = (struct loop_task){.run = run_close};
    client->tasks++;
    loop_post(client->shard->loop, &work->task);
}

void client_end(struct client *client, unsigned code, const char *reason)
{
    if (note_end(client, code, reason))
        client_schedule_leave(client);
}

void client_end_saying(struct client *client, unsigned code, struct slice reason)
{
    if (client->close_reason != NULL)
        return;
    struct client_work *work = client_need_work(client);
    if (work != NULL)
        work->said = mem_try_alloc(reason.len + 1);
    if (work == NULL || work->said == NULL) {
        client_end(client, code, "");
        return;
    }
    memcpy(work->said, reason.ptr, reason.len);
    work->said[reason.len] = '\0';
    client_end(client, code, work->said);
}

void client_drop(struct client *client)
{
    /* Whoever admitted it still holds the pointer: it ends when its socket comes or is given up. */
    if (client->state == CLIENT_ADMITTED) {
        client_end(client, WS_CLOSE_INTERNAL, "out of memory");
        return;
    }
    client->state = CLIENT_GONE;
    client_schedule_leave(client);
}

void client_count_refusal(struct client *client)
{
    struct shard *shard = client->shard;
    if (client->refusals == NULL)
        client->refusals = mem_try_zalloc(1, sizeof *client->refusals);
    if (client->refusals == NULL || client->close_reason != NULL ||
        strikes_add(client->refusals, loop_now_ms(shard->loop)) < CLIENT_REFUSALS_MAX)
        return;
    counter_add(&shard->counters.rate_limit_ended_total, 1);
    client_close(client, WS_CLOSE_RATE_LIMITED, "refused by a limit too often");
}

static void leave_all(struct client *client)
{
    struct shard *shard = client->shard;
    client->left = true;
    log_info("client:disconnected", log_user(client_user_id(client)),
             log_room(client->home != NULL ? client->home->name : SLICE_NONE),
             log_uint("code", client->close_reason != NULL ? client->close_code : 1006),
             log_str("reason", client->close_reason));
    client_leave_rooms(client);
    hub_client_left(shard->hub);
}

static void begin_closing(struct client *client)
{
    struct shard *shard = client->shard;
    char bytes[WS_CONTROL_FRAME_MAX];
    /* In the middle of a frame no Close of the peer's can be made out: ours is the last word, and
     * nothing is kept of theirs. */
    if (client->close_code == WS_CLOSE_MESSAGE_TIMEOUT) {
        client->close_received = true;
        ws_session_fini(&client->session, shard->pool);
    } else {
        ws_session_forget_message(&client->session, shard->pool);
    }
    if (client->close_code == WS_CLOSE_SLOW_CONSUMER && client->work != NULL)
        counter_add(&shard->counters.messages_dropped_total, outq_drop_unsent(&client->work->outq));
    size_t len = ws_frame_write_close(client->close_code, slice_str(client->close_reason), bytes);
    client_send_frame(client, slice_of(bytes, len), OUTQ_CLOSE);
    client->close_sent = true;
    client_schedule_flush(client);
    if (client->work != NULL)
        list_remove(&client->work->midway);
    agenda_remove(&shard->expiries, &client->expiry);
    if (client->state != CLIENT_OPEN)
        return;
    client->state = CLIENT_CLOSING;
    client_unpace(client);
    client_update_reading(client);
    client->heard_ms = loop_now_ms(shard->loop);
    list_move_back(&shard->ending, &client->timer);
}

static void free_client(struct client *client)
{
    struct shard *shard = client->shard;
    list_remove(&client->timer);
    list_remove(&client->due);
    agenda_remove(&shard->expiries, &client->expiry);
    if (client->work != NULL)
        counter_add(&shard->counters.messages_dropped_total, client->work->outq.messages);
    /* What the peer did not take in time must not stay in the kernel. */
    bool unsent = client->close_sent && client_has_waiting(client);
    conn_close(&client->conn, shard->loop, unsent);
    ws_session_fini(&client->session, shard->pool);
    client_end_work(client);
    room_release(client->home);
    user_release(client->user);
    mem_free(client->refusals);
    slab_free(&shard->clients, client);
    hub_client_freed(shard->hub);
}

void client_leave(struct client *client)
{
    if (!client->left)
        leave_all(client);
    if (client->lost)
        client->state = CLIENT_GONE; /* whatever ends it: there is nobody to say it to */
    if (client->state == CLIENT_GONE) {
        /* With a task still in the mailbox, it comes by here once more. */
        if (client->tasks == 0)
            free_client(client);
    } else if (!client->close_sent) {
        begin_closing(client);
    }
}
