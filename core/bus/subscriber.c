#include "core/bus/subscriber.h"

#include <string.h>

#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/bus/bus.h"
#include "core/bus/channel.h"
#include "core/bus/pod_prefix.h"

#define SUBSCRIBE   "*2\r\n$9\r\nSUBSCRIBE\r\n"
#define UNSUBSCRIBE "*2\r\n$11\r\nUNSUBSCRIBE\r\n"

static void on_up(void *arg)
{
    struct subscriber *subscriber = arg;
    subscriber->asked = subscriber->answered = 0;
    interest_begin(&subscriber->interest);
}

static void on_down(void *arg)
{
    struct subscriber *subscriber = arg;
    interest_reset(&subscriber->interest);
    subscriber->global_asked = subscriber->global_stands = false;
    subscriber->control_pending = 0;
}

static void ask(struct subscriber *subscriber, size_t answers)
{
    redis_link_ask(&subscriber->link, answers);
    subscriber->asked += answers;
}

/* Whether the next answer is about a control channel. */
static bool is_about_control(const struct subscriber *subscriber)
{
    return subscriber->control_pending > 0 && subscriber->answered >= subscriber->control_at;
}

static void note_answer(struct subscriber *subscriber)
{
    redis_link_answered(&subscriber->link);
    if (is_about_control(subscriber))
        subscriber->control_pending--;
    subscriber->answered++;
}

/* Clients choose the rooms, so they can have it refused again and again. */
static void refuse(struct subscriber *subscriber, struct interest_room *room, const char *error)
{
    struct slice channel[2];
    channel_of_room(interest_room_name(room), channel);
    atomic_fetch_add_explicit(&subscriber->refused_total, 1, memory_order_relaxed);
    if (log_pause_is_over(&subscriber->refused_pause))
        log_warn("redis:room_refused", log_room(interest_room_name(room)),
                 log_text("channels", channel[0]), log_str("reason", error));
    interest_refuse(&subscriber->interest, room, subscriber->link.opts.clock_ms() + BUS_AWAIT_MS);
    subscriber->settled_any = true;
}

/* An error is the end of a connection, unless it is about the control channels, or the rights to
 * one room. */
static const char *on_error(struct subscriber *subscriber, const char *error)
{
    struct interest_room *room = interest_find_asked(&subscriber->interest, subscriber->answered);
    if (is_about_control(subscriber)) {
        if (log_pause_is_over(&subscriber->control_pause))
            log_warn("redis:control_refused", log_str("channel", CHANNEL_CONTROL),
                     log_str("reason", error));
    } else if (room != NULL && slice_starts_with(slice_str(error), slice_str("NOPERM"))) {
        refuse(subscriber, room, error);
    } else {
        return error;
    }
    note_answer(subscriber);
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
        subscriber->settled_any = true;
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

/* One channel a command: each has one answer, whatever that is. */
static void send_command(struct subscriber *subscriber, const char *command,
                         const struct slice channel[2])
{
    redis_link_append_raw(&subscriber->link, slice_str(command));
    redis_link_append_word(&subscriber->link, channel, 2);
    ask(subscriber, 1);
}

static void send_next(struct subscriber *subscriber)
{
    const struct interest_room *room = interest_next(&subscriber->interest, subscriber->asked);
    struct slice channel[2];
    if (room == NULL)
        return;
    channel_of_room(interest_room_name(room), channel);
    send_command(subscriber, room->wanted ? SUBSCRIBE : UNSUBSCRIBE, channel);
}

static void subscribe_control(struct subscriber *subscriber)
{
    const struct slice all[] = {slice_str(CHANNEL_CONTROL), SLICE_NONE};
    const struct slice own[] = {slice_str(CHANNEL_CONTROL ":"), subscriber->opts.pod};
    subscriber->control_at = subscriber->asked;
    subscriber->control_pending = 2;
    send_command(subscriber, SUBSCRIBE, all);
    send_command(subscriber, SUBSCRIBE, own);
}

static void subscribe_global(struct subscriber *subscriber)
{
    const struct slice channel[] = {slice_str(CHANNEL_GLOBAL), SLICE_NONE};
    send_command(subscriber, SUBSCRIBE, channel);
    subscriber->global_asked = true;
}

static void tell_refused(struct subscriber *subscriber, uint64_t now_ms)
{
    const struct interest_room *room;
    while ((room = interest_next_refused(&subscriber->interest, now_ms)) != NULL)
        subscriber->opts.on_refused(subscriber->opts.arg, interest_room_name(room));
}

void subscriber_turn(struct subscriber *subscriber, uint64_t now_ms)
{
    struct redis_link *link = &subscriber->link;
    while (redis_link_has_room(link) && interest_has_changes(&subscriber->interest))
        send_next(subscriber);
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
        ask(subscriber, 1);
    }
    tell_refused(subscriber, now_ms);
}

uint64_t subscriber_next_ms(const struct subscriber *subscriber)
{
    const struct redis_link *link = &subscriber->link;
    uint64_t next_ms = redis_link_next_ms(link);
    if (redis_link_is_up(link) && link->owed == 0 && link->progress_ms + BUS_KEEPALIVE_MS < next_ms)
        next_ms = link->progress_ms + BUS_KEEPALIVE_MS;
    if (interest_next_refused_ms(&subscriber->interest) < next_ms)
        next_ms = interest_next_refused_ms(&subscriber->interest);
    return next_ms;
}
