#pragma once

/*
 * A room, and the group of all clients (which is a room without a name).
 *
 *     room ─┬─ part 0 ─ members of loop 0   each part belongs to its loop: no lock
 *           └─ part 1 ─ members of loop 1
 *
 * Whether a loop must hear of a message is told by its part's `joined`, which the hub raises before
 * the member is in the loop's array and lowers after it left, so no message is missed in between.
 *
 * Threads: `refs`, `subscribed`, `pressed_ms`, `critical_ms`, `joined` and `deflaters`: any.
 * `total`, `announced`, `interest`: under the hub's lock. A part's other fields: its loop. Owns:
 * its name, its parts' arrays and batches under way.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/slice.h"
#include "core/chat/batch.h"

enum {
    ROOM_NAME_MAX = 128,
    ROOM_MEMBERS_TOGETHER = 64, /* so many members on one loop before the next one gets some */
};

struct client;
struct message;
struct room;

/* Where a client stands in a room's part; embedded in the client. */
struct membership {
    struct room *room;      /* counted; NULL: in none */
    uint32_t index;         /* in the part's array */
    uint32_t taken;         /* bytes of `taken_of` that the client's queue has already */
    struct batch *taken_of; /* the turn's batch, only compared; NULL: nothing is taken */
};

struct member {
    struct client *client;
    struct membership *membership; /* told when the member moves in the array */
};

struct room_part {
    struct room *room;
    atomic_uint joined;    /* members, those on their way included */
    atomic_uint deflaters; /* of them, who take compressed frames */
    struct member *members;
    uint32_t count, cap;
    struct batch *plain;    /* what the turn brought; NULL: nothing yet */
    struct batch *deflated; /* the same for those with permessage-deflate */
    struct list_link dirty; /* in the loop's list while a batch is under way */
};

struct room {
    atomic_uint refs;
    uint32_t total;                   /* members on all loops */
    unsigned home;                    /* picks its first members' loop; under the hub's lock */
    bool announced;                   /* other pods are asked for this room's messages */
    atomic_bool subscribed;           /* and the subscription stands */
    atomic_uint_fast64_t pressed_ms;  /* when a member's socket was last found full; 0: never */
    atomic_uint_fast64_t critical_ms; /* when one that had just fallen behind was near its bounds */
    struct list_link interest;        /* in the hub's list of changes */
    struct slice name;                /* stands behind the parts; ptr NULL: the group of all */
    unsigned parts_count;
    struct room_part parts[];
};

/* Names the rule that a room's name breaks (CONTRACT: the upgrade); FAULT_NONE when none. */
struct fault room_check_name(struct slice name);

/* One count, for the caller. NULL without memory. */
MUST_USE struct room *room_try_create(struct slice name, unsigned parts_count);
struct room *room_retain(struct room *room);
/* Takes NULL. */
void room_release(struct room *room);

/* Puts the client into the part's array; the membership has the room's count already. ERR_NOMEM
 * leaves both as they were. The part's loop. */
MUST_USE enum err room_part_add(struct room_part *part, struct client *client,
                                struct membership *membership);
/* Takes it out again; the membership keeps its count. The part's loop, and not while the array is
 * walked. */
void room_part_remove(struct room_part *part, struct membership *membership);

/* The turn's batch for members with or without permessage-deflate; NULL: nothing yet. */
static inline struct batch *room_part_batch(const struct room_part *part, bool deflate)
{
    return deflate && part->deflated != NULL ? part->deflated : part->plain;
}

/*
 * Adds the message to the batches that the part's members need. ERR_FULL: what is there must be
 * sent first; ERR_NOMEM: the message is lost for this part. The part's loop.
 */
MUST_USE enum err room_part_append(struct room_part *part, const struct message *message);
