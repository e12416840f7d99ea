#include "core/bus/publisher.h"

#include <string.h>

#include "core/base/log.h"
#include "core/bus/bus.h"
#include "core/bus/channel.h"

enum { TAKE_AT_ONCE = 128 };

static void on_up(void *arg)
{
    struct publisher *publisher = arg;
    uint64_t now_ms = publisher->link.opts.clock_ms();
    uint64_t patience_ms = 0;
    if (publisher->lost_ms == 0)
        patience_ms = publisher->was_tried ? PUBLISHER_REJOIN_BLIND_MS : 0;
    else if (now_ms - publisher->lost_ms < BACKOFF_EAGER_MS)
        patience_ms = PUBLISHER_REJOIN_MS;
    else /* The others may be at the longest wait between two attempts. */
        patience_ms = BUS_BACKOFF_MAX_MS + 1000;
    publisher->patient_ms = now_ms + patience_ms;
    publisher->flow_anyway_ms =
        now_ms + (patience_ms > PUBLISHER_REJOIN_MS ? patience_ms : PUBLISHER_REJOIN_MS);
    publisher->phase = PUBLISHER_HOLD;
    publisher->present = 0;
    publisher->next_ask_ms = now_ms;
}

static void settle(struct publisher *publisher)
{
    outbox_settle(publisher->outbox, &publisher->settled, publisher->refused);
    publisher->refused = 0;
}

static void on_down(void *arg)
{
    struct publisher *publisher = arg;
    settle(publisher);
    outbox_give_back(publisher->outbox, &publisher->in_flight);
    publisher->in_flight_count = 0;
    publisher->asking = false;
    publisher->phase = PUBLISHER_DOWN;
    publisher->lost_ms = publisher->link.opts.clock_ms();
    size_t dropped = outbox_set_flowing(publisher->outbox, false);
    if (dropped > 0 && log_pause_is_over(&publisher->dropped_pause))
        log_warn("redis:outbox_full", log_uint("dropped", dropped));
}

static void tell_reached(struct publisher *publisher, long long pods)
{
    if (publisher->asking_ask <= publisher->told_ask || publisher->on_reached == NULL)
        return;
    publisher->told_ask = publisher->asking_ask;
    publisher->on_reached(publisher->arg, publisher->asking_ask, pods);
}

/* Without the right to ask, `present` stays unknown and HOLD lasts as long as it may. */
static const char *on_census(struct publisher *publisher, const struct redisReply *reply)
{
    publisher->asking = false;
    if (reply->type == REDIS_REPLY_ERROR)
        return redis_link_error_is_passing(reply->str) ? reply->str : NULL;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 4 ||
        reply->element[1]->type != REDIS_REPLY_INTEGER ||
        reply->element[3]->type != REDIS_REPLY_INTEGER)
        return "PUBSUB NUMSUB has no such answer";
    tell_reached(publisher, reply->element[3]->integer);
    publisher->present = reply->element[1]->integer;
    if (publisher->phase == PUBLISHER_FLOW && publisher->present > 0)
        publisher->expected = publisher->present;
    return NULL;
}

/* The census that says whom it reached must begin after Redis took it. */
static void note_ask(struct publisher *publisher, struct list_link *sent)
{
    const struct outbox_message *message = LIST_ENTRY(sent, struct outbox_message, link);
    if (message->ask == 0)
        return;
    publisher->taken_ask = message->ask;
    publisher->next_ask_ms = 0;
}

/* `sent` is the message that is longest in flight: the one that Redis answers next. */
static const char *on_published(struct publisher *publisher, const struct redisReply *reply,
                                struct list_link *sent)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        if (redis_link_error_is_passing(reply->str))
            return reply->str; /* the message goes back with all that are behind it */
        if (log_pause_is_over(&publisher->refused_pause))
            log_warn("redis:publish_refused", log_str("reason", reply->str));
        publisher->refused++;
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        atomic_fetch_add_explicit(&publisher->published_total, 1, memory_order_relaxed);
        note_ask(publisher, sent);
    } else {
        return "PUBLISH has no such answer";
    }
    list_move_back(&publisher->settled, sent);
    publisher->in_flight_count--;
    return NULL;
}

static const char *on_reply(void *arg, struct redisReply *reply)
{
    struct publisher *publisher = arg;
    redis_link_answered(&publisher->link);
    if (publisher->asking && publisher->asked_behind == 0)
        return on_census(publisher, reply);
    struct list_link *sent = list_first(&publisher->in_flight);
    if (sent == NULL)
        return "an answer that nobody asked for";
    if (publisher->asking)
        publisher->asked_behind--;
    return on_published(publisher, reply, sent);
}

void publisher_init(struct publisher *publisher, const struct redis_link_opts *opts,
                    struct outbox *outbox, struct slice prefix)
{
    *publisher = (struct publisher){.outbox = outbox, .prefix = prefix};
    struct redis_link_opts own = *opts;
    own.name = "publish";
    own.arg = publisher;
    own.on_up = on_up;
    own.on_reply = on_reply;
    own.on_down = on_down;
    redis_link_init(&publisher->link, &own);
    list_init(&publisher->in_flight);
    list_init(&publisher->settled);
}

void publisher_fini(struct publisher *publisher)
{
    settle(publisher);
    outbox_give_back(publisher->outbox, &publisher->in_flight);
    redis_link_fini(&publisher->link);
}

/* The payload is the prefix and what follows the blob's opening brace. */
static void send_message(struct publisher *publisher, const struct outbox_message *message)
{
    const struct blob *blob = message->blob;
    struct slice rest =
        slice_of(blob->bytes + message->offset + 1, blob->len - message->offset - 1);
    struct slice global = slice_str(CHANNEL_GLOBAL);
    struct slice payload[] = {publisher->prefix, rest};
    struct slice channel[2];
    channel_of_room(slice_of(message->room, message->room_len), channel);
    redis_link_append_head(&publisher->link, 3);
    redis_link_append_str(&publisher->link, "PUBLISH");
    if (message->is_global)
        redis_link_append_word(&publisher->link, &global, 1);
    else
        redis_link_append_word(&publisher->link, channel, 2);
    redis_link_append_word(&publisher->link, payload, 2);
    redis_link_ask(&publisher->link, 1);
}

static void send_waiting(struct publisher *publisher)
{
    while (publisher->in_flight_count < PUBLISHER_IN_FLIGHT_MAX) {
        size_t room = redis_link_get_room(&publisher->link);
        size_t count = PUBLISHER_IN_FLIGHT_MAX - publisher->in_flight_count;
        struct list taken;
        list_init(&taken);
        if (room == 0 || outbox_take(publisher->outbox, count < TAKE_AT_ONCE ? count : TAKE_AT_ONCE,
                                     room, &taken) == 0)
            return;
        for (struct list_link *at = taken.head.next; at != &taken.head; at = at->next) {
            send_message(publisher, LIST_ENTRY(at, struct outbox_message, link));
            publisher->in_flight_count++;
        }
        list_append(&publisher->in_flight, &taken);
    }
}

static void ask_census(struct publisher *publisher, uint64_t now_ms)
{
    redis_link_append_head(&publisher->link, 4);
    redis_link_append_str(&publisher->link, "PUBSUB");
    redis_link_append_str(&publisher->link, "NUMSUB");
    redis_link_append_str(&publisher->link, CHANNEL_GLOBAL);
    redis_link_append_str(&publisher->link, CHANNEL_CONTROL);
    redis_link_ask(&publisher->link, 1);
    publisher->asking = true;
    publisher->asked_behind = publisher->in_flight_count;
    publisher->asking_ask = publisher->taken_ask;
    publisher->next_ask_ms = now_ms + (publisher->phase == PUBLISHER_HOLD ? PUBLISHER_REJOIN_POLL_MS
                                                                          : PUBLISHER_CENSUS_MS);
}

static bool may_flow(const struct publisher *publisher, uint64_t now_ms, bool subscribed)
{
    bool all_are_back = publisher->expected > 0 && publisher->present >= publisher->expected;
    return now_ms >= publisher->flow_anyway_ms ||
           (subscribed && (all_are_back || now_ms >= publisher->patient_ms));
}

void publisher_turn(struct publisher *publisher, uint64_t now_ms, bool subscribed, bool in_haste)
{
    settle(publisher);
    if (publisher->phase == PUBLISHER_DOWN) {
        publisher->was_tried |= publisher->link.attempts > 1;
        return;
    }
    if (publisher->phase == PUBLISHER_HOLD &&
        (in_haste || may_flow(publisher, now_ms, subscribed))) {
        publisher->phase = PUBLISHER_FLOW;
        outbox_set_flowing(publisher->outbox, true);
    }
    if (publisher->phase == PUBLISHER_FLOW)
        send_waiting(publisher);
    /* Without regard to what waits to be written: there is never more than one, and asking only
     * when there is room would turn the loop round and round while Redis hangs. */
    if (!publisher->asking && now_ms >= publisher->next_ask_ms)
        ask_census(publisher, now_ms);
}

uint64_t publisher_next_ms(const struct publisher *publisher)
{
    uint64_t next_ms = redis_link_next_ms(&publisher->link);
    /* HOLD ends in a turn that the census brings about, so it needs no time of its own. */
    if (publisher->phase != PUBLISHER_DOWN && !publisher->asking &&
        publisher->next_ask_ms < next_ms)
        next_ms = publisher->next_ask_ms;
    return next_ms;
}
