/*
 * What is kept is what is resident less what the allocator has given out. Resident memory alone
 * would not tell: a trim while an outbox is full finds nothing to give back, and emptying it
 * afterwards makes nothing less resident.
 */
#include "app/heap.h"

#include <malloc.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"

void heap_watch_init(struct heap_watch *watch, uint64_t now_ms, uint64_t cpu_ms, size_t kept_bytes)
{
    *watch = (struct heap_watch){
        .looked_ms = now_ms,
        .looked_cpu_ms = cpu_ms,
        .floor_bytes = kept_bytes,
    };
}

bool heap_watch_is_quiet(struct heap_watch *watch, uint64_t now_ms, uint64_t cpu_ms)
{
    uint64_t passed_ms = now_ms - watch->looked_ms;
    uint64_t used_ms = cpu_ms - watch->looked_cpu_ms;
    if (passed_ms < HEAP_LOOK_MS)
        return false;
    watch->looked_ms = now_ms;
    watch->looked_cpu_ms = cpu_ms;
    return used_ms * 100 < passed_ms * HEAP_QUIET_PER_CENT;
}

bool heap_watch_judge(struct heap_watch *watch, size_t kept_bytes)
{
    if (kept_bytes < watch->floor_bytes)
        watch->floor_bytes = kept_bytes;
    return kept_bytes >= watch->floor_bytes + HEAP_SLACK_BYTES;
}

void heap_watch_trimmed(struct heap_watch *watch, size_t kept_bytes)
{
    watch->floor_bytes = kept_bytes;
}

static size_t resident_bytes(void)
{
    unsigned long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* 0 when it is not known. Walks what is free, so it is for quiet moments. */
static size_t kept_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    size_t used = info.uordblks + info.hblkhd;
    size_t resident = resident_bytes();
    return resident > used ? resident - used : 0;
}

static uint64_t cpu_ms(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

static void trim(struct heap_watch *watch, size_t before_bytes)
{
    uint64_t began_ns = clock_monotonic_ns();
    malloc_trim(0);
    uint64_t took_ns = clock_monotonic_ns() - began_ns;
    heap_watch_trimmed(watch, kept_bytes());
    log_debug("memory:trimmed", log_uint("before_bytes", before_bytes),
              log_uint("after_bytes", watch->floor_bytes), log_uint("took_us", took_ns / 1000));
}

void heap_start(struct heap_watch *watch)
{
    heap_watch_init(watch, clock_monotonic_ms(), cpu_ms(), kept_bytes());
}

void heap_tick(struct heap_watch *watch)
{
    if (!heap_watch_is_quiet(watch, clock_monotonic_ms(), cpu_ms()))
        return;
    size_t kept = kept_bytes();
    if (heap_watch_judge(watch, kept))
        trim(watch, kept);
}
