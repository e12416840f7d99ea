#pragma once

/*
 * Gives memory that a burst needed back to the system once the service is quiet again. The
 * allocator keeps what is freed: after an outbox of 100 MiB the process would stay that large.
 *
 *     resident ▲      ┌─────┐ freed, but kept
 *              │  ____│     └─────────────┐ trimmed: nearly no processor time was used for a while,
 *              │                          └────      and much is resident that nobody uses
 *              └──────────────────────────────▶
 *
 * Threads: main; a trim holds the locks of the allocator for milliseconds, so it waits for a
 * moment at which no loop wants them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HEAP_LOOK_MS = 1000,           /* between two looks */
    HEAP_SLACK_BYTES = 512 * 1024, /* this much more than the floor is worth a trim */
    HEAP_QUIET_PER_CENT = 10,      /* of one core: less since the last look is quiet */
};

struct heap_watch {
    uint64_t looked_ms;
    uint64_t looked_cpu_ms;
    size_t floor_bytes; /* the least that was kept since the last trim: code, stacks, gaps */
};

/* Begins the watch: the times of the process as they are now, and what it keeps besides what is in
 * use. */
void heap_watch_init(struct heap_watch *watch, uint64_t now_ms, uint64_t cpu_ms, size_t kept_bytes);

/* Whether it is time for a look and little was done since the last one. */
bool heap_watch_is_quiet(struct heap_watch *watch, uint64_t now_ms, uint64_t cpu_ms);

/* Whether so much is kept that a trim is worth it. */
bool heap_watch_judge(struct heap_watch *watch, size_t kept_bytes);

/* After a trim: what is kept now cannot be given back. */
void heap_watch_trimmed(struct heap_watch *watch, size_t kept_bytes);

/* Begins the watch of this process. */
void heap_start(struct heap_watch *watch);

/* Looks when it is time to, and trims when that is worth it. */
void heap_tick(struct heap_watch *watch);
