#pragma once

/*
 * What is measured: latencies, and what a process has used.
 *
 * Latencies stand in a histogram whose buckets are 1/32 of their value wide: constant memory and
 * one addition a delivery, so that measuring does not slow down what is measured.
 */

#include <stdbool.h>
#include <stdint.h>

enum { METER_SUB_BITS = 5, METER_BUCKETS = (64 - METER_SUB_BITS) << METER_SUB_BITS };

struct histogram {
    uint64_t count, max_ns;
    uint64_t buckets[METER_BUCKETS];
};

uint64_t now_ns(void); /* CLOCK_MONOTONIC */

void histogram_add(struct histogram *histogram, uint64_t value_ns);
/* The value that `share` (0 to 1) of all stay under, at most 1/32 too high; 0 without any. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

/* CPU time and resident memory of a process at one moment. */
struct usage {
    bool known;
    double user_s, system_s;
    uint64_t rss_bytes;
};

/* From /proc/PID/stat and statm; not known when pid is 0 or the process is gone. */
struct usage usage_of(int pid);

/* CPU seconds that all processes of the machine have used, and that others took from it (steal). */
double machine_cpu_s(void);
