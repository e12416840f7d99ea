#pragma once

/*
 * When to try again.
 *
 * While Redis lived a short while ago, attempts come every BUS_BACKOFF_MIN_MS to BACKOFF_EAGER_MAX
 * _MS, so that all pods are back within moments of each other (what a pod publishes before another
 * one has subscribed again is lost to it). Later, or when Redis answers but refuses us, the wait
 * doubles up to BUS_BACKOFF_MAX_MS. Jitter keeps pods from coming in step.
 *
 * Threads: the bus thread. No clock in here.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
    BACKOFF_EAGER_MS = 30000, /* so long after the loss attempts are frequent */
    BACKOFF_EAGER_MAX_MS = 250,
};

struct backoff {
    uint64_t since_ms; /* when the connection was lost, or first wanted */
    uint32_t doublings;
};

void backoff_reset(struct backoff *backoff, uint64_t now_ms);

/* How long to wait now. `refused`: Redis answered, and did not want us. `random`: any bits. */
uint64_t backoff_next_ms(struct backoff *backoff, uint64_t now_ms, bool refused, uint32_t random);
