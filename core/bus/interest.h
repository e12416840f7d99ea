#pragma once

/*
 * Which rooms this pod wants from Redis, which it asked for, which stand, and which Redis refuses.
 *
 *     IDLE ──SUBSCRIBE──▶ ASKED ──confirmed──▶ STANDS ──UNSUBSCRIBE──▶ ENDING
 *       ▲                   └─────refused────▶ REFUSED                   │
 *       └────────────────────────────confirmed───────────────────────────┘
 *
 * A room has one command under way at most: what it is wanted for meanwhile is looked at when the
 * answer is there, so coming and going costs Redis nothing. Answers come in the order of the
 * commands, and are numbered, since an error does not say what it is about.
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

enum interest_state {
    INTEREST_IDLE, /* Redis knows nothing of it */
    INTEREST_ASKED,
    INTEREST_STANDS,
    INTEREST_ENDING,
    INTEREST_REFUSED, /* not asked for again before nobody wants it, or the connection is another */
};

struct interest_room {
    struct list_link link; /* in one of the lists below, or in none */
    union {
        uint64_t answer;  /* ASKED, ENDING: the number of the one that is missing */
        uint64_t told_ms; /* REFUSED: when that is to be told */
    };
    bool wanted;
    bool is_first;     /* one of those that were wanted when the connection began */
    uint8_t state;     /* enum interest_state */
    uint32_t name_len; /* bytes */
    char name[];
};

struct interest {
    struct map rooms;    /* name to struct interest_room */
    struct list changed; /* a command is due, unless they change back */
    struct list asked;   /* ASKED and ENDING, in the order of their commands */
    struct list refused; /* REFUSED, and not told yet, by when they are */
    size_t first_left;   /* rooms with is_first that had no command yet */
    size_t standing;
};

void interest_init(struct interest *interest);
void interest_fini(struct interest *interest);

/* ERR_NOMEM: the room is not subscribed. */
MUST_USE enum err interest_want(struct interest *interest, struct slice name, bool wanted);

/* A connection begins: all that is wanted now comes first. */
void interest_begin(struct interest *interest);
/* It is lost: nothing is asked for, nothing stands. */
void interest_reset(struct interest *interest);

/* The next room to send a command for, which is noted as sent: SUBSCRIBE when it is wanted. Its
 * answer will be the one of this number. NULL when there is none. Good until the next call of any
 * function here. */
struct interest_room *interest_next(struct interest *interest, uint64_t answer);

static inline bool interest_has_changes(const struct interest *interest)
{
    return !list_is_empty(&interest->changed);
}

/* Redis confirmed a command for the room. Whether its subscription came to stand by that. */
bool interest_confirm(struct interest *interest, struct slice name);

/* The room whose SUBSCRIBE the answer of this number, which is the next one, is about; NULL when it
 * is about something else. */
struct interest_room *interest_find_asked(const struct interest *interest, uint64_t answer);
/* Redis refuses that room. Who still wants it at `told_ms`, which never falls, is to be told. */
void interest_refuse(struct interest *interest, struct interest_room *room, uint64_t told_ms);
/* A refused room that is to be told now, once; NULL when there is none. */
const struct interest_room *interest_next_refused(struct interest *interest, uint64_t now_ms);
/* When there is one; UINT64_MAX for never. */
uint64_t interest_next_refused_ms(const struct interest *interest);

/* Whether a subscription is on its way: wanted, not standing, not refused. */
bool interest_is_awaited(const struct interest *interest, struct slice name);
bool interest_is_refused(const struct interest *interest, struct slice name);

static inline struct slice interest_room_name(const struct interest_room *room)
{
    return slice_of(room->name, room->name_len);
}
