#include "core/bus/subscriber.h"

#include <string.h>

#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/bus/bus.h"
#include "core/bus/channel.h"
#include "core/bus/pod_prefix.h"

/* Channels in one command. */
enum { BATCH_MAX = 256 };

static void on_up(void *arg)
{
    struct subscriber *subscriber = arg;
    interest_begin(&subscriber->interest);
}

static void on_down(void *arg)
{
    struct subscriber *subscriber = arg;
    interest_reset(&subscriber->interest);
    subscriber->global_asked = subscriber->global_stands = false;
    subscriber->control_behind = subscriber->control_pending = 0;
}

static void note_answer(struct subscriber *subscriber)
{
    redis_link_answered(&subscriber->link);
    if (subscriber->control_behind > 0)
        subscriber->control_behind--;
    else if (subscriber->control_pending > 0)
        subscriber->control_pending--;
}

/* An error is the end of a connection, unless it is about the control channels. */
static const char *on_error(struct subscriber *subscriber, const char *error)
{
    if (subscriber->control_behind > 0 || subscriber->control_pending == 0)
        return error;
    note_answer(subscriber);
    if (log_pause_is_over(&subscriber->control_pause))
        log_warn("redis:control_refused", log_str("channel", CHANNEL_CONTROL),
                 log_str("reason", error));
    return NULL;
}

static void drop_invalid(struct subscriber *subscriber, struct slice room, const char *reason)
{
    atomic_fetch_add_explicit(&subscriber->invalid_total, 1, memory_order_relaxed);
    if (log_pause_is_over(&subscriber->invalid_pause))
        log_warn("redis:payload_dropped", log_room(room), log_str("reason", reason));
}

/* A pod's message: its prefix is cut off, in place, so that the rest is an object again. */
static void take_from_pod(struct subscriber *subscriber, struct slice room, struct slice channel,
                          char *bytes, size_t len, const struct pod_prefix *prefix)
{
    if (recent_is_repeat(&subscriber->recent, prefix->pod, channel, slice_of(bytes, len))) {
        atomic_fetch_add_explicit(&subscriber->duplicates_total, 1, memory_order_relaxed);
        return;
    }
    bytes[prefix->len - 1] = '{';
    struct slice payload = slice_of(bytes + prefix->len - 1, len - prefix->len + 1);
    if (payload.len > subscriber->opts.payload_max) {
        drop_invalid(subscriber, room, "a pod's message is too large");
    } else if (!utf8_is_valid(payload.ptr, payload.len)) {
        drop_invalid(subscriber, room, "a pod's message is not UTF-8");
    } else {
        atomic_fetch_add_explicit(&subscriber->received_total, 1, memory_order_relaxed);
        subscriber->opts.on_message(subscriber->opts.arg, room, payload, true);
    }
}

static void take_payload(struct subscriber *subscriber, struct slice room, struct slice channel,
                         char *bytes, size_t len)
{
    struct slice payload = slice_of(bytes, len);
    if (pod_prefix_is_own(payload, subscriber->opts.own_mark))
        return;
    struct pod_prefix prefix = pod_prefix_read(payload);
    if (prefix.origin == POD_ORIGIN_OTHER) {
        take_from_pod(subscriber, room, channel, bytes, len, &prefix);
    } else if (len > subscriber->opts.payload_max) {
        drop_invalid(subscriber, room, "too large");
    } else {
        atomic_fetch_add_explicit(&subscriber->received_total, 1, memory_order_relaxed);
        subscriber->opts.on_message(subscriber->opts.arg, room, payload, false);
    }
}

/* Only pods say something here, and what is repeated is harmless: it is the same once more, or it
 * came by way of the commands, which never repeat. */
static void take_control(struct subscriber *subscriber, char *bytes, size_t len)
{
    struct slice payload = slice_of(bytes, len);
    if (pod_prefix_is_own(payload, subscriber->opts.own_mark))
        return;
    struct pod_prefix prefix = pod_prefix_read(payload);
    if (prefix.origin != POD_ORIGIN_OTHER || len > subscriber->opts.control_max ||
        !utf8_is_valid(bytes, len)) {
        drop_invalid(subscriber, SLICE_NONE, "no pod says that to pods");
        return;
    }
    bytes[prefix.len - 1] = '{';
    payload = slice_skip(payload, prefix.len - 1);
    subscriber->opts.on_control(subscriber->opts.arg, prefix.pod, payload);
}

static const char *on_message(struct subscriber *subscriber, const struct redisReply *reply)
{
    const struct redisReply *payload = reply->element[2];
    struct slice channel = slice_of(reply->element[1]->str, reply->element[1]->len);
    struct slice room = SLICE_NONE;
    if (payload->type != REDIS_REPLY_STRING)
        return "a message is no string";
    if (slice_starts_with(channel, slice_str(CHANNEL_CONTROL)))
        take_control(subscriber, payload->str, payload->len);
    else if (slice_equals_str(channel, CHANNEL_GLOBAL) || channel_find_room(channel, &room))
        take_payload(subscriber, room, channel, payload->str, payload->len);
    return NULL;
}

static const char *on_confirmed(struct subscriber *subscriber, const struct redisReply *reply)
{
    struct slice channel = slice_of(reply->element[1]->str, reply->element[1]->len);
    struct slice room;
    note_answer(subscriber);
    if (slice_equals_str(channel, CHANNEL_GLOBAL)) {
        subscriber->global_stands = true;
    } else if (channel_find_room(channel, &room) && interest_confirm(&subscriber->interest, room)) {
        subscriber->confirmed_any = true;
        subscriber->opts.on_subscribed(subscriber->opts.arg, room);
    }
    return NULL;
}

/* Everything on a subscribed connection is an array of three, but for an error and the PONG. */
static const char *on_reply(void *arg, struct redisReply *reply)
{
    struct subscriber *subscriber = arg;
    if (reply->type == REDIS_REPLY_ERROR)
        return on_error(subscriber, reply->str);
    if (reply->type == REDIS_REPLY_STATUS) { /* PONG before the first channel is subscribed */
        note_answer(subscriber);
        return NULL;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return "a subscription has no such answer";
    const char *kind = reply->element[0]->str;
    if (reply->elements == 3 && strcmp(kind, "message") == 0)
        return on_message(subscriber, reply);
    if (reply->elements == 3 &&
        (strcmp(kind, "subscribe") == 0 || strcmp(kind, "unsubscribe") == 0))
        return on_confirmed(subscriber, reply);
    if (strcmp(kind, "pong") == 0)
        note_answer(subscriber);
    return NULL;
}

void subscriber_init(struct subscriber *subscriber, const struct redis_link_opts *link_opts,
                     const struct subscriber_opts *opts)
{
    *subscriber = (struct subscriber){.opts = *opts};
    struct redis_link_opts own = *link_opts;
    own.name = "subscribe";
    own.arg = subscriber;
    own.on_up = on_up;
    own.on_reply = on_reply;
    own.on_down = on_down;
    redis_link_init(&subscriber->link, &own);
    interest_init(&subscriber->interest);
    recent_init(&subscriber->recent);
}

void subscriber_fini(struct subscriber *subscriber)
{
    redis_link_fini(&subscriber->link);
    recent_fini(&subscriber->recent);
    interest_fini(&subscriber->interest);
}

void subscriber_want(struct subscriber *subscriber, struct slice room, bool wanted)
{
    if (interest_want(&subscriber->interest, room, wanted) != ERR_OK &&
        log_pause_is_over(&subscriber->memory_pause))
        log_error("redis:no_memory_to_subscribe", log_room(room));
}

static void send_command(struct subscriber *subscriber, const char *command,
                         struct interest_room **rooms, size_t count)
{
    if (count == 0)
        return;
    redis_link_append_head(&subscriber->link, count + 1);
    redis_link_append_str(&subscriber->link, command);
    for (size_t i = 0; i < count; i++) {
        struct slice channel[2];
        channel_of_room(interest_room_name(rooms[i]), channel);
        redis_link_append_word(&subscriber->link, channel, 2);
    }
    redis_link_ask(&subscriber->link, count);
}

/* A room is at most once in the list of changes, so the two commands have no room in common. */
static void send_batch(struct subscriber *subscriber)
{
    struct interest_room *wanted[BATCH_MAX], *unwanted[BATCH_MAX];
    size_t wanted_count = 0, unwanted_count = 0;
    while (wanted_count < BATCH_MAX && unwanted_count < BATCH_MAX) {
        struct interest_room *room = interest_next(&subscriber->interest);
        if (room == NULL)
            break;
        if (room->asked)
            wanted[wanted_count++] = room;
        else
            unwanted[unwanted_count++] = room;
    }
    send_command(subscriber, "SUBSCRIBE", wanted, wanted_count);
    send_command(subscriber, "UNSUBSCRIBE", unwanted, unwanted_count);
}

/* One command each: each has one answer, whatever that is. */
static void subscribe_control(struct subscriber *subscriber)
{
    struct slice all = slice_str(CHANNEL_CONTROL);
    struct slice own[] = {slice_str(CHANNEL_CONTROL ":"), subscriber->opts.pod};
    subscriber->control_behind = subscriber->link.owed;
    subscriber->control_pending = 2;
    redis_link_append_head(&subscriber->link, 2);
    redis_link_append_str(&subscriber->link, "SUBSCRIBE");
    redis_link_append_word(&subscriber->link, &all, 1);
    redis_link_append_head(&subscriber->link, 2);
    redis_link_append_str(&subscriber->link, "SUBSCRIBE");
    redis_link_append_word(&subscriber->link, own, 2);
    redis_link_ask(&subscriber->link, 2);
}

static void subscribe_global(struct subscriber *subscriber)
{
    redis_link_append_head(&subscriber->link, 2);
    redis_link_append_str(&subscriber->link, "SUBSCRIBE");
    redis_link_append_str(&subscriber->link, CHANNEL_GLOBAL);
    redis_link_ask(&subscriber->link, 1);
    subscriber->global_asked = true;
}

void subscriber_turn(struct subscriber *subscriber, uint64_t now_ms)
{
    struct redis_link *link = &subscriber->link;
    while (redis_link_has_room(link) && interest_has_changes(&subscriber->interest))
        send_batch(subscriber);
    if (!subscriber->global_asked && subscriber->interest.first_left == 0 &&
        redis_link_has_room(link)) {
        if (subscriber->opts.on_control != NULL)
            subscribe_control(subscriber);
        subscribe_global(subscriber);
    }
    if (redis_link_is_up(link) && link->owed == 0 &&
        now_ms >= link->progress_ms + BUS_KEEPALIVE_MS) {
        redis_link_append_head(link, 1);
        redis_link_append_str(link, "PING");
        redis_link_ask(link, 1);
    }
}

uint64_t subscriber_next_ms(const struct subscriber *subscriber)
{
    const struct redis_link *link = &subscriber->link;
    uint64_t next_ms = redis_link_next_ms(link);
    if (redis_link_is_up(link) && link->owed == 0 && link->progress_ms + BUS_KEEPALIVE_MS < next_ms)
        next_ms = link->progress_ms + BUS_KEEPALIVE_MS;
    return next_ms;
}
