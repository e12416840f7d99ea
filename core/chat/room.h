#pragma once

/*
 * A room, the group of all clients (which is a room without a name), and the group of a room's
 * events clients (a room of its own, whose name is the room's behind a slash).
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
    /* The longest name of a group: a room's, or a room's events clients (room_events_name). */
    ROOM_KEY_MAX = 1 + ROOM_NAME_MAX,
};

#define ROOM_USER_PREFIX "user:"

struct client;
struct message;
struct room;

enum { MEMBERSHIP_OUT = UINT32_MAX };

/* Where a client stands in a room's part; embedded in the client. */
struct membership {
    struct room *room;      /* counted; NULL: in none */
    uint32_t index;         /* in the part's array; MEMBERSHIP_OUT: not there (yet) */
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
    bool hidden;                      /* not shown in statistics, counts in no limit */
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

/* Whether the name is of a user's own room, `user:{id}`. */
bool room_is_users(struct slice name);
/* The name of a user's room; ptr NULL when that would be too long. */
struct slice room_users_name(struct slice user, char out[ROOM_NAME_MAX]);
/* Whether it is of a room that only the service itself knows: a user's own, or a group of events
 * clients. */
bool room_is_hidden(struct slice name);

/* The group of the room's events clients: writes its name, which is as long as the room's and one
 * more. No room's name holds a slash, so no room is called so. */
struct slice room_events_name(struct slice room, char out[ROOM_KEY_MAX]);

/* One count, for the caller. NULL without memory. */
MUST_USE struct room *room_try_create(struct slice name, unsigned parts_count);
struct room *room_retain(struct room *room);
/* Takes NULL. */
void room_release(struct room *room);

/* Puts the client into the part's array; the membership has the room's count already. ERR_NOMEM
 * leaves both as they were. The part's loop. */
MUST_USE enum err room_part_add(struct room_part *part, struct client *client,
                                struct membership *membership);
/* The membership stands somewhere else now. The part's loop. */
void room_part_move(struct room_part *part, struct membership *membership);
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
