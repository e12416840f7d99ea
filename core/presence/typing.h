#pragma once

/*
 * Who is typing where: what of it is passed on, and when it is over by itself.
 *
 *     quiet ─ true ─▶ typing ─ false, a message, left, TYPING_OVER_MS without another true ─▶ quiet
 *
 * A true is passed on once in TYPING_PAUSE_MS for a user in a room, however often it comes; the end
 * is passed on at once, when the beginning was. Users with clients on several pods are one: what
 * was heard from another pod counts like what was said here, but for its end, which that pod tells.
 * Should that pod fall silent, it is over here TYPING_HEARD_MS after its last word.
 *
 * Threads: the presence thread. No I/O, no clock in here.
 * Owns: an entry for each user and room until TYPING_PAUSE_MS after the end.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/slice.h"

enum {
    TYPING_PAUSE_MS = 3000,
    TYPING_OVER_MS = 6000,
    /* Words of other pods keep the pause already, but come sooner or later than those before. */
    TYPING_HEARD_PAUSE_MS = TYPING_PAUSE_MS - 1000,
    /* The other pod passed on a true TYPING_PAUSE_MS before its last one at most. */
    TYPING_HEARD_MS = TYPING_PAUSE_MS + TYPING_OVER_MS + 1000,
};

/* Something to be told, good for the call. */
struct typing_word {
    struct slice room, user;
    struct slice client; /* the one here that typed, which need not be told; empty: none did */
    bool typing;
    bool heard; /* from another pod, so that only those here are to be told */
};

struct typing {
    struct map typists;  /* by user and room */
    struct list active;  /* on this pod, by when they are over */
    struct list heard;   /* on others only, likewise */
    size_t active_count; /* of both */
    struct list quiet;   /* by when they are forgotten */
    void *arg;
    void (*tell)(void *arg, const struct typing_word *word);
};

void typing_init(struct typing *typing, void *arg,
                 void (*tell)(void *arg, const struct typing_word *word));
void typing_fini(struct typing *typing);

void typing_begin(struct typing *typing, struct slice room, struct slice user, struct slice client,
                  uint64_t now_ms);
/* It said so, sent a message, or left. `client` ptr NULL: whichever of the user's it was. Whether
 * the user was typing. */
bool typing_end(struct typing *typing, struct slice room, struct slice user, struct slice client,
                uint64_t now_ms);

bool typing_is_active(const struct typing *typing, struct slice room, struct slice user);

/* Another pod said so. */
void typing_hear(struct typing *typing, struct slice room, struct slice user, bool is_typing,
                 uint64_t now_ms);

void typing_expire(struct typing *typing, uint64_t now_ms);
/* When something is due; UINT64_MAX for never. */
uint64_t typing_next_ms(const struct typing *typing);
