#pragma once

/*
 * The rooms that a message of the HTTP API is for, each once: those of `rooms`, and `user:{id}` for
 * each of `users`.
 *
 * Threads: one at a time.
 * Owns: the names.
 */

#include <stddef.h>

#include "core/base/err.h"
#include "core/base/map.h"
#include "core/base/slice.h"
#include "core/chat/room.h"

enum {
    TARGETS_EACH_MAX = 1000, /* rooms, and as many users */
    TARGETS_USER_MAX = 123,  /* bytes of a user's id: with its prefix it is a room's name */
};

struct target {
    unsigned char len; /* bytes */
    char name[ROOM_NAME_MAX];
};

struct targets {
    struct target *rows;
    size_t count;
    struct map seen; /* the names that are in `rows` */
};

void targets_init(struct targets *targets);
void targets_fini(struct targets *targets);
void targets_clear(struct targets *targets);

/* Adds the names of a JSON array. FAULT_NONE, or why not; what was added so far stays. */
struct fault targets_add_rooms(struct targets *targets, struct slice json);
struct fault targets_add_users(struct targets *targets, struct slice json);

static inline struct slice targets_at(const struct targets *targets, size_t i)
{
    return slice_of(targets->rows[i].name, targets->rows[i].len);
}
