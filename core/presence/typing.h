#pragma once

/*
 * Who is typing where, on this pod: what of it is passed on, and when it is over by itself.
 *
 *     quiet ─ true ─▶ typing ─ false, a message, left, TYPING_OVER_MS without another true ─▶ quiet
 *
 * A true is passed on once in TYPING_PAUSE_MS for a user in a room, however often it comes; the end
 * is passed on at once, when the beginning was.
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
};

struct typing {
    struct map typists; /* by user and room */
    struct list active; /* by when they are over */
    size_t active_count;
    struct list quiet; /* by when they are forgotten */
    void *arg;
    /* `client`: the one who typed, which need not be told. */
    void (*tell)(void *arg, struct slice room, struct slice user, struct slice client, bool typing);
};

void typing_init(struct typing *typing, void *arg,
                 void (*tell)(void *arg, struct slice room, struct slice user, struct slice client,
                              bool typing));
void typing_fini(struct typing *typing);

void typing_begin(struct typing *typing, struct slice room, struct slice user, struct slice client,
                  uint64_t now_ms);
/* It said so, sent a message, or left. `client` ptr NULL: whichever of the user's it was. Whether
 * the user was typing. */
bool typing_end(struct typing *typing, struct slice room, struct slice user, struct slice client,
                uint64_t now_ms);

void typing_expire(struct typing *typing, uint64_t now_ms);
/* When something is due; UINT64_MAX for never. */
uint64_t typing_next_ms(const struct typing *typing);
