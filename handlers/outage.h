#pragma once

/*
 * Tells events clients that this pod has lost Redis, and that it is back: system:degraded,
 * system:restored (EVENTS: events). Once for each change that lasts: what is over within
 * OUTAGE_HOLD_MS is told to nobody, and a connection that comes and goes is one outage. Who
 * connects meanwhile is told, too.
 *
 * Threads: main.
 */

#include <stdbool.h>
#include <stdint.h>

struct service;

enum { OUTAGE_HOLD_MS = 1000 };

enum outage_change { OUTAGE_SAME, OUTAGE_BEGAN, OUTAGE_ENDED };

struct outage {
    bool away;         /* when it was last looked at */
    bool told;         /* clients were told that it is */
    uint64_t since_ms; /* it is as it is now */
};

void outage_init(struct outage *outage);

/* How things stand at this moment of a clock that never goes back; what is to be told by that. */
enum outage_change outage_look(struct outage *outage, bool connected, uint64_t now_ms);

/* Looks, and tells. Call it every half second or so. */
void outage_tick(struct outage *outage, struct service *service);
