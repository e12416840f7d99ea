#include "core/chat/counters.h"

#include <stddef.h>

const uint64_t counters_latency_bounds_ns[LATENCY_BUCKETS - 1] = {
    100000,   250000,    500000,    1000000,   2500000,    5000000,    10000000,   25000000,
    50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 5000000000,
};

void counters_observe_latency(struct counters *counters, uint64_t ns, uint64_t times)
{
    size_t bucket = 0;
    while (bucket < LATENCY_BUCKETS - 1 && ns > counters_latency_bounds_ns[bucket])
        bucket++;
    counter_add(&counters->latency_buckets[bucket], times);
    counter_add(&counters->latency_sum_ns, ns * times);
}

void counters_sum(struct counters *sum, const struct counters *from)
{
    /* All members are counters, so the struct is an array of them. */
    _Static_assert(sizeof(struct counters) % sizeof(counter) == 0, "counters only");
    counter *to = (counter *)sum;
    const counter *add = (const counter *)from;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        counter_add(&to[i], counter_get(&add[i]));
}
