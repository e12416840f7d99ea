#pragma once

/*
 * Who is here, on this pod: the users of its clients, the rooms they are in, their status.
 *
 *     client ─▶ user ─▶ seat ─▶ room        one seat for each user and room, counting clients
 *
 * A client without a user's name is its own user, and most clients are that: such a client and its
 * user are one struct of 56 bytes, a seat has 40 (both from slabs), a room refers to each by a
 * pointer. What few have
 * (a name, a chosen status, several clients, clients on other pods) stands in a profile.
 *
 * A named user may have clients on other pods. Pods tell each other notes about those: what status
 * was chosen, and whether the user's clients there are silent, because only a user who is silent
 * everywhere is away. A chosen status lingers for the time of grace when the last client goes, so
 * that loading a page anew does not end it.
 *
 * Threads: the presence thread, but for a client's atomics: its loop, too (presence.h).
 * No I/O, no clock in here.
 * Owns: everything in it; clients until they are removed.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/slab.h"
#include "core/base/uuid.h"
#include "core/presence/leases.h"
#include "core/presence/record.h"

struct load;
struct profile;
struct replica;

enum {
    ROSTER_TICK_MS = 32, /* in which `active` counts */
    ROSTER_SCAN_MAX = 20000,
};

/* What presence keeps for a client. */
struct presence_client {
    struct list_link link; /* in the roster's clients */
    atomic_uint active;    /* when it last said something, in ticks of the monotonic clock */
    atomic_bool away;      /* it fell silent; its next message must be told */
    atomic_bool typing;    /* its user types somewhere; the next message must be told */
    bool named : 1;        /* its user has a name: it is a struct tab, else a struct loner */
    bool events : 1;
    bool idle : 1; /* silent */
};

struct roster_user {
    struct roster_seat *seats;
    struct profile *profile; /* NULL: a loner with nothing to be said about it */
    unsigned char uuid[16];  /* a loner's id */
};

/* A user in a room. */
struct roster_seat {
    struct roster_room *room;
    struct roster_user *user;
    struct roster_seat *next; /* of the user */
    uint64_t since_ms;        /* wall clock */
    uint32_t index;           /* in the room's array */
    uint32_t clients;
};

struct roster_room {
    struct roster_seat **seats;
    uint32_t count, cap;
    uint32_t events;         /* events clients in it */
    struct replica *replica; /* while there are any */
    struct load *load;       /* of the replica, under way */
    struct list_link dirty;  /* in presence's list of rooms with something to say */
    struct buf pending;      /* that */
    unsigned name_len;
    char name[];
};

/* The time; both clocks. */
struct roster_time {
    uint64_t now_ms; /* monotonic */
    uint64_t wall_ms;
};

struct roster_opts {
    uint64_t away_ms;
    uint64_t grace_ms;
    struct leases *leases;
    void *arg;
    /* What is to be said about the user in a room changed, be it that it left (clients 0). Seat
     * NULL: about the user as such. */
    void (*changed)(void *arg, const struct roster_user *user, const struct roster_seat *seat);
    /* The user's pods are to be told. */
    void (*note)(void *arg, const struct roster_user *user, bool ask);
    /* A named user came, or is forgotten. */
    void (*watch)(void *arg, struct slice user, bool wanted);
};

struct roster {
    struct roster_opts opts;
    struct slab loners, seats;
    struct list clients; /* those that were looked at longest ago first */
    size_t count;        /* of clients */
    struct map named;    /* struct profile by user id */
    struct list lingering;
    struct map rooms;
};

void roster_init(struct roster *roster, const struct roster_opts *opts);
void roster_fini(struct roster *roster);

/* A client as it comes. */
struct roster_newcomer {
    struct slice id;
    struct slice user; /* ptr NULL: its user is itself */
    struct slice name; /* ptr NULL: none */
    bool events;
};

/* A client's record, by any thread; unknown to the roster until it is added, by its own. */
struct presence_client *roster_make_client(struct roster *roster,
                                           const struct roster_newcomer *newcomer, uint64_t now_ms);
void roster_add(struct roster *roster, struct presence_client *client, struct roster_time time);
/* Frees the client, which has left its rooms. */
void roster_remove(struct roster *roster, struct presence_client *client, struct roster_time time);

/* The client's user is called so from now on (ptr NULL: it has no name). */
void roster_rename(struct roster *roster, struct presence_client *client, struct slice name,
                   struct roster_time time);

/* --- rooms (roster_rooms.c) --- */

/* A room is made when it is needed, and forgotten when nothing is in it. NULL without memory. */
struct roster_room *roster_find_room(const struct roster *roster, struct slice name);
struct roster_room *roster_need_room(struct roster *roster, struct slice name);
void roster_forget_room(struct roster *roster, struct roster_room *room);

/* ERR_NOMEM: the user is not in the room. */
MUST_USE enum err roster_enter(struct roster *roster, struct presence_client *client,
                               struct roster_room *room, struct roster_time time);
void roster_leave(struct roster *roster, struct presence_client *client, struct roster_room *room);

/* --- status --- */

/* The user chose a status. */
void roster_choose(struct roster *roster, struct presence_client *client,
                   enum presence_status status, struct slice text, struct roster_time time);
/* A client that had fallen silent said something. */
void roster_wake(struct roster *roster, struct presence_client *client, struct roster_time time);
/* Looks for clients that fell silent, ROSTER_SCAN_MAX at most. */
void roster_scan(struct roster *roster, struct roster_time time);
/* Forgets users who went for good. */
void roster_expire(struct roster *roster, struct roster_time time);
uint64_t roster_next_ms(const struct roster *roster);

/* Another pod's word about a user. */
void roster_take_note(struct roster *roster, struct slice id, struct lease *lease,
                      const struct note *note, struct roster_time time);
/* A pod is gone. */
void roster_drop_lease(struct roster *roster, const struct lease *lease, struct roster_time time);

/* The user's pods hear this one now, whose group this is (`user:{id}`): they are asked. */
void roster_ask(struct roster *roster, struct slice room);

/* The user types: the next message of each of its clients is told. */
void roster_note_typing(struct presence_client *client);
/* The same for a user that types on another pod, should it have clients here. */
void roster_note_typing_of(struct roster *roster, struct slice id);

/* --- questions --- */

static inline struct slice roster_room_name(const struct roster_room *room)
{
    return slice_of(room->name, room->name_len);
}

struct roster_user *roster_user_of(const struct presence_client *client);
/* The id; `scratch` is used for a loner's. */
struct slice roster_user_id(const struct roster_user *user, char scratch[UUID_TEXT_LEN]);
bool roster_is_named(const struct roster_user *user);
bool roster_is_visible(const struct roster_user *user);

/* What is to be said; `rev` is left to the caller, texts are the user's. */
struct record roster_record(const struct roster_user *user, const struct roster_seat *seat);
/* What is said of one who goes, with the status that it chose: its silence ends with its clients.
 */
struct record roster_farewell(const struct roster_user *user, const struct roster_seat *seat);
struct note roster_note(const struct roster_user *user, bool ask);

/* Every user. */
void roster_each(const struct roster *roster,
                 void (*each)(void *arg, const struct roster_user *user), void *arg);
