#include "tests/bench/load/traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/load/must.h"
#include "tests/bench/load/stamp.h"

enum { TEXT_MAX = 65536 + 256 };

void traffic_init(struct traffic *traffic, const struct options *options, struct peers *peers,
                  struct peer *clients)
{
    uint32_t count = options->senders * options->rooms;
    *traffic = (struct traffic){.options = options, .peers = peers, .senders_count = count};
    traffic->senders = must_allocate(count, sizeof *traffic->senders);
    traffic->sent = must_allocate(count, sizeof *traffic->sent);
    traffic->ready = must_allocate(count, sizeof *traffic->ready);
    for (uint32_t i = 0; i < count; i++) {
        struct sender *sender = &traffic->senders[i];
        uint32_t room = i / options->senders, index = i % options->senders;
        sender->peer = &clients[room * options->members + index];
        sender->index = (uint16_t)index;
        sender->arrived = must_allocate(options->window, sizeof *sender->arrived);
    }
}

void traffic_fini(struct traffic *traffic)
{
    for (uint32_t i = 0; i < traffic->senders_count; i++)
        free(traffic->senders[i].arrived);
    free(traffic->senders);
    free(traffic->sent);
    free(traffic->ready);
}

static bool add_message(const struct traffic *traffic, struct peer *peer, const struct stamp *stamp)
{
    static const char before[] = "{\"s\":\"", between[] = "\",\"p\":\"", behind[] = "\"}";
    static char text[TEXT_MAX];
    const struct flavour *flavour = traffic->options->flavour;
    char letters[STAMP_LETTERS];
    stamp_write(letters, stamp);
    int len = snprintf(text, sizeof text, "%s%s%.*s%s", flavour->prefix, before, STAMP_LETTERS,
                       letters, between);
    memset(text + len, 'x', traffic->padding);
    len += (int)traffic->padding;
    len += snprintf(text + len, sizeof text - (size_t)len, "%s%s", behind, flavour->suffix);
    return peer_add_text(peer, text, (size_t)len);
}

void traffic_probe(struct traffic *traffic)
{
    struct peer *peer = traffic->senders[0].peer;
    const struct stamp stamp = {.sender = STAMP_PROBE};
    add_message(traffic, peer, &stamp);
    peer_flush(traffic->peers, peer);
}

void traffic_fit(struct traffic *traffic, size_t probe_len)
{
    size_t size = traffic->options->size;
    traffic->padding = size > probe_len ? size - probe_len : 0;
}

static void mark_ready(struct traffic *traffic, uint32_t i)
{
    if (!traffic->senders[i].ready)
        traffic->ready[traffic->ready_count++] = i;
    traffic->senders[i].ready = true;
}

void traffic_start(struct traffic *traffic, uint64_t now_ns)
{
    traffic->start_ns = now_ns;
    for (uint32_t i = 0; traffic->options->window != 0 && i < traffic->senders_count; i++)
        mark_ready(traffic, i);
}

static bool send_one(struct traffic *traffic, uint32_t i, uint64_t time_ns)
{
    const struct sender *sender = &traffic->senders[i];
    const struct stamp stamp = {
        .number = traffic->sent[i], .sender = sender->index, .time_ns = time_ns};
    if (sender->peer->state != PEER_OPEN || !add_message(traffic, sender->peer, &stamp))
        return false;
    traffic->sent[i]++;
    return true;
}

static void fill_windows(struct traffic *traffic, uint64_t now_ns)
{
    uint32_t count = traffic->ready_count;
    traffic->ready_count = 0;
    for (uint32_t r = 0; r < count; r++) {
        uint32_t i = traffic->ready[r];
        struct sender *sender = &traffic->senders[i];
        sender->ready = false;
        while (traffic->sent[i] - sender->complete < traffic->options->window)
            if (!send_one(traffic, i, now_ns))
                break;
        peer_flush(traffic->peers, sender->peer);
    }
}

static uint64_t due_ns(const struct traffic *traffic, uint64_t message)
{
    return traffic->start_ns + (uint64_t)((double)message * 1e9 / traffic->options->rate);
}

/* One message to each room in turn: the load is as even as it can be. */
static uint32_t sender_of(const struct traffic *traffic, uint64_t message)
{
    const struct options *options = traffic->options;
    uint64_t room = message % options->rooms;
    uint64_t index = message / options->rooms % options->senders;
    return (uint32_t)(room * options->senders + index);
}

uint64_t traffic_send(struct traffic *traffic, uint64_t now_ns)
{
    if (traffic->senders_count == 0)
        return UINT64_MAX;
    if (traffic->options->window != 0) {
        fill_windows(traffic, now_ns);
        return UINT64_MAX;
    }
    for (uint64_t due; (due = due_ns(traffic, traffic->next)) <= now_ns; traffic->next++) {
        uint32_t i = sender_of(traffic, traffic->next);
        struct peer *peer = traffic->senders[i].peer;
        if (peer->state == PEER_OPEN && !send_one(traffic, i, due))
            return now_ns; /* it has too much waiting: once it has less */
        peer_flush(traffic->peers, peer);
    }
    return due_ns(traffic, traffic->next);
}

void traffic_arrived(struct traffic *traffic, uint32_t room, uint16_t index, uint32_t number)
{
    const struct options *options = traffic->options;
    if (options->window == 0)
        return;
    uint32_t i = room * options->senders + index;
    struct sender *sender = &traffic->senders[i];
    uint32_t *arrived = &sender->arrived[number % options->window];
    /* A compressed message does not tell its number: those who get such are not waited for. */
    uint32_t watched = options->deflate ? options->senders : options_watched(options);
    if (++*arrived < watched)
        return;
    *arrived = 0;
    sender->complete++;
    mark_ready(traffic, i);
}

const uint32_t *traffic_sent_in(const struct traffic *traffic, uint32_t room)
{
    return &traffic->sent[(size_t)room * traffic->options->senders];
}

uint64_t traffic_sent(const struct traffic *traffic)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < traffic->senders_count; i++)
        sum += traffic->sent[i];
    return sum;
}
