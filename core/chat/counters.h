#pragma once

/*
 * What is counted, for statistics and metrics. Each loop has a set of its own that only its thread
 * writes, so that counting costs no shared cache line; who reads adds them up.
 *
 * Threads: one writer a set, any reader.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "core/base/err.h"

enum { LATENCY_BUCKETS = 16 }; /* the last one is +Inf */

typedef atomic_uint_fast64_t counter;

struct counters {
    counter connections_total;        /* clients whose socket arrived */
    counter messages_received_total;  /* data messages from clients */
    counter messages_delivered_total; /* messages that clients' sockets took */
    counter messages_dropped_total;   /* queued and never sent */
    counter passing_dropped_total;    /* passing messages that a member with much waiting missed */
    counter bytes_received_total;
    counter bytes_sent_total;
    counter slow_consumers_total;
    counter heartbeat_timeouts_total;
    counter message_timeouts_total;
    counter auth_ended_total;                 /* closed because their token was over */
    counter rate_limit_ended_total;           /* closed because limits refused them too often */
    counter protocol_errors_total;            /* closed with 1002, 1003, 1007 or 1009 */
    counter errors_total[FAULT_CODES];        /* error envelopes */
    counter latency_buckets[LATENCY_BUCKETS]; /* not cumulated */
    counter latency_sum_ns;
};

/* Upper bounds of the buckets but the last, in nanoseconds. */
extern const uint64_t counters_latency_bounds_ns[LATENCY_BUCKETS - 1];

/* One writer: no read-modify-write is needed. */
static inline void counter_add(counter *value, uint64_t by)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

static inline uint64_t counter_get(const counter *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* `times` deliveries took this long. */
void counters_observe_latency(struct counters *counters, uint64_t ns, uint64_t times);

/* Adds all of `from` to `sum`. */
void counters_sum(struct counters *sum, const struct counters *from);
