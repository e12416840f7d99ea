#pragma once

/*
 * Answers that are given again (EVENTS: Idempotency-Key): who repeats a request within REPLAY_MS
 * under the same key gets the first answer, and nothing is done a second time.
 *
 * Bounded by number and by bytes: past a bound the oldest answer is forgotten before its time. Each
 * pod remembers its own only.
 *
 * Threads: one at a time. No clock in here.
 * Owns: a copy of each answer.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/base/digest.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/slice.h"

enum {
    REPLAY_MS = 5 * 60 * 1000,
    REPLAY_ANSWERS_MAX = 10000,
    REPLAY_BYTES_MAX = 16 * 1024 * 1024,
};

struct replays {
    struct map answers; /* by key */
    struct list by_age; /* oldest first */
    size_t bytes;
};

enum replay {
    REPLAY_NEW,   /* nothing is remembered */
    REPLAY_SAME,  /* the same request was answered */
    REPLAY_OTHER, /* another one under this key was */
};

void replays_init(struct replays *replays);
void replays_fini(struct replays *replays);

/* `answer` is good until the next call, for REPLAY_SAME. */
enum replay replays_find(struct replays *replays, const struct digest *key,
                         const struct digest *request, uint64_t now_ms, struct slice *answer);

/* Remembers an answer for a key that has none. Without memory it is not remembered. */
void replays_add(struct replays *replays, const struct digest *key, const struct digest *request,
                 uint64_t now_ms, struct slice answer);
