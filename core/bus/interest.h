#pragma once

/*
 * Which rooms this pod wants from Redis, which it asked for, and which stand.
 *
 * A room's last command is `asked`; when that is not what is `wanted`, the room stands in the list
 * of changes until a command goes out. So a room that is wanted, unwanted and wanted again before
 * its turn costs Redis nothing. Confirmations come in the order of the commands, so a room stands
 * when it is asked for and none is missing.
 *
 * Threads: the bus thread. No I/O in here.
 * Owns: a copy of each name, as long as the room is wanted or Redis may think so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/slice.h"

struct interest_room {
    struct list_link link; /* in the list of changes */
    bool wanted;
    bool asked;        /* the last command was SUBSCRIBE */
    bool is_first;     /* one of those that were wanted when the connection began */
    uint32_t pending;  /* confirmations missing */
    uint32_t name_len; /* bytes */
    char name[];
};

struct interest {
    struct map rooms; /* name to struct interest_room */
    struct list changed;
    size_t first_left; /* rooms with is_first that had no command yet */
    size_t standing;
    bool begun; /* there is a connection */
};

void interest_init(struct interest *interest);
void interest_fini(struct interest *interest);

/* ERR_NOMEM: the room is not subscribed. */
MUST_USE enum err interest_want(struct interest *interest, struct slice name, bool wanted);

/* A connection begins: all that is wanted now comes first. */
void interest_begin(struct interest *interest);
/* It is lost: nothing is asked for, nothing stands. */
void interest_reset(struct interest *interest);

/* The next room to send a command for, which is noted as sent: SUBSCRIBE when `asked` is set now.
 * NULL when there is none. Good until the next call of any function here. */
struct interest_room *interest_next(struct interest *interest);

static inline bool interest_has_changes(const struct interest *interest)
{
    return !list_is_empty(&interest->changed);
}

/* Redis confirmed a command for the room. Whether its subscription came to stand by that. */
bool interest_confirm(struct interest *interest, struct slice name);

/* Whether a subscription is on its way: wanted, and not standing. */
bool interest_is_awaited(const struct interest *interest, struct slice name);

static inline struct slice interest_room_name(const struct interest_room *room)
{
    return slice_of(room->name, room->name_len);
}
