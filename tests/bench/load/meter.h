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

/* The largest value that the bucket takes. */
uint64_t histogram_bucket_end(unsigned bucket);

/* What a process had used at one moment. */
struct usage {
    bool known;
    double cpu_s;            /* exact */
    double user_s, system_s; /* to a hundredth of a second */
    double wanted_s;         /* cpu_s, and how long its threads waited for a core */
    uint64_t rss_bytes;
};

/* From /proc/PID and its clock; not known when pid is 0 or the process is gone. */
struct usage usage_of(int pid);
/* `to` less `from`; memory as at `to`. */
struct usage usage_between(const struct usage *from, const struct usage *to);

/* Adds up processes; the sum is known when both are. */
void usage_add(struct usage *sum, const struct usage *one);

/* CPU seconds that all processes of the machine have used, and that others took from it (steal). */
double machine_cpu_s(void);
