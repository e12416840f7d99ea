#pragma once

/*
 * When who sends: at a rate, or as fast as what was sent comes back.
 *
 * At a rate (open loop) message k is due at start + k / rate, whatever the server does, and is
 * stamped with that time: a stall makes all that it held up late, as users see it. With a window
 * (closed loop) a sender has so many messages under way that not all members have got.
 */

#include <stdint.h>

#include "tests/bench/load/options.h"
#include "tests/bench/load/peer.h"

struct sender {
    struct peer *peer;
    uint16_t index;    /* in its room */
    bool ready;        /* its window has room */
    uint32_t complete; /* messages that all members who are watched have */
    uint32_t *arrived; /* by number modulo the window: how many have it */
};

struct traffic {
    const struct options *options;
    struct peers *peers;
    struct sender *senders; /* room by room */
    uint32_t *sent;         /* by each of them */
    uint32_t senders_count;
    uint32_t *ready; /* those with room in their windows */
    uint32_t ready_count;
    size_t padding; /* after the stamp, so that a delivery has the size that is asked for */
    uint64_t start_ns, next; /* the next message's number among all */
};

/* The clients stand room by room, a room's senders first. */
void traffic_init(struct traffic *traffic, const struct options *options, struct peers *peers,
                  struct peer *clients);
void traffic_fini(struct traffic *traffic);

/* A message that is not counted, to learn what the server makes of it. */
void traffic_probe(struct traffic *traffic);
/* The probe came back with so many bytes. */
void traffic_fit(struct traffic *traffic, size_t probe_len);

void traffic_start(struct traffic *traffic, uint64_t now_ns);
/* Sends what is due; returns when something is due next. */
uint64_t traffic_send(struct traffic *traffic, uint64_t now_ns);

/* One more member has this message. */
void traffic_arrived(struct traffic *traffic, uint32_t room, uint16_t index, uint32_t number);

/* How many each of the room's senders sent. */
const uint32_t *traffic_sent_in(const struct traffic *traffic, uint32_t room);
uint64_t traffic_sent(const struct traffic *traffic);
