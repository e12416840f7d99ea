#pragma once

/*
 * Who is where, and who gets what: the directory of rooms, the way of a message to all members, and
 * the loops that serve the clients.
 *
 *     hub_publish ─▶ room ─┬─▶ mailbox of loop 0 ─▶ its members
 *                          └─▶ mailbox of loop 1 ─▶ its members       one post per loop and message
 *
 * Threads: create, start, drain, stop, destroy: the main thread. All else: any thread, unless it
 * says otherwise.
 * Owns: its loops and their shards, the rooms, the clients.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/chat/counters.h"
#include "core/chat/room.h"
#include "core/ws/handshake.h"
#include "core/ws/session.h"

struct client;
struct compressor;
struct hub;
struct message;
struct shard;
struct user;

struct hub_opts {
    unsigned loops;
    size_t max_clients;
    size_t queue_messages; /* that may wait for one client */
    size_t queue_bytes;
    size_t queues_bytes; /* that may wait for all clients, what several wait for counted once */
    size_t midway_bytes; /* that messages which are not whole yet may hold, of all clients */
    uint64_t ping_interval_ms;
    uint64_t pong_timeout_ms;
    uint64_t message_timeout_ms;
    uint64_t close_timeout_ms; /* for the peer's part of the closing handshake */
    bool io_uring;             /* for large rooms, where the kernel lets us (core/net/burst.h) */
    size_t compress_min_bytes; /* shorter messages go out plain to everybody */
    struct ws_limits limits;
    uint64_t (*clock_ms)(void); /* of the loops (loop_opts) */
    void *arg;                  /* for the callbacks */
    /* A whole message of a client, on the client's loop. The payload is good for the call. */
    void (*on_message)(void *arg, struct client *client, enum ws_opcode opcode,
                       struct slice payload);
    /* A client is a member of its rooms now, on its loop, and nothing was sent to it yet. May be
     * NULL. */
    void (*on_join)(void *arg, struct client *client);
    /* The client became or ceased to be a member of the room (ptr NULL: of the group of all, which
     * is the first and the last to be told); hidden rooms are not told. On the client's loop. May
     * be NULL. */
    void (*on_member)(void *arg, struct client *client, struct slice room, bool joined);
    /* The events client's token is over in CLIENT_EXPIRING_MS, or sooner: told once for each token,
     * on the client's loop. May be NULL. */
    void (*on_expiring)(void *arg, struct client *client);
    /* hub_take_interest has something to take. No lock is held. NULL: nobody is interested. */
    void (*on_interest)(void *arg);
};

/* ERR_SYSTEM with errno when descriptors are used up. */
MUST_USE enum err hub_create(const struct hub_opts *opts, struct hub **out);
MUST_USE enum err hub_start(struct hub *hub);

/*
 * Takes no new clients, lets every client have what waits for it, closes all with 1001, and waits
 * until they are gone or `deadline_ms` (clock_monotonic_ms) has come. Returns how many are left.
 */
size_t hub_drain(struct hub *hub, uint64_t deadline_ms);

/* Ends the loops and drops the clients that are left. */
void hub_stop(struct hub *hub);
/* Takes NULL; stopped before. */
void hub_destroy(struct hub *hub);

const struct hub_opts *hub_opts(const struct hub *hub);

/* A client as its handshake describes it. */
struct hub_admission {
    struct slice room; /* ptr NULL: none */
    const struct deflate_params *deflate;
    bool events;       /* asked for chat.events.v1: gets what the service itself says, too */
    struct user *user; /* who its token names; NULL: authentication is off. The client has its own
                        * count */
};

/*
 * A place for a client whose handshake is under way: it is a member of its room from now on,
 * of its user's room too when it is signed in or an events client, so that no message is lost
 * between the answer and the arrival of its socket. The caller must call client_attach or
 * client_abandon, once. ERR_FULL: max_clients are there; ERR_CLOSED: draining; ERR_NOMEM.
 */
MUST_USE enum err hub_admit(struct hub *hub, const struct hub_admission *admission,
                            struct client **out);

/* The room of this name with a count for the caller, NULL when it has no members here. */
struct room *hub_find_room(struct hub *hub, struct slice name);

/* The group of all clients; not counted for the caller. */
struct room *hub_global(struct hub *hub);

/*
 * Gives the message to all members of the room on this pod. Messages that one thread publishes to a
 * room reach every member in that order. The message may get its compressed form by this, so it is
 * not shared yet. The compressor is the calling thread's.
 */
void hub_publish(struct hub *hub, struct room *room, struct message *message,
                 struct compressor *compressor);

/*
 * The same for what is of no use later: it skips the client whose id is `except` (ptr NULL: nobody)
 * and members for whom half as much waits as may.
 */
void hub_publish_passing(struct hub *hub, struct room *room, struct message *message,
                         struct slice except);

/*
 * Gives the message to all events clients on this pod. `stands`: those that come later are told it,
 * too, first thing behind on_join, until the next call. One thread at a time.
 */
void hub_announce(struct hub *hub, struct message *message, bool stands);

/* This pod is interested in the room as if it had a member more here, or not any more. Without
 * memory nothing happens; then the latter must not be called. */
MUST_USE enum err hub_watch(struct hub *hub, struct slice name);
void hub_unwatch(struct hub *hub, struct slice name);

/* Calls `each` for every room that got its first member or lost its last one since the last call,
 * in order, without a lock held. */
void hub_take_interest(struct hub *hub, void (*each)(void *arg, struct slice room, bool wanted),
                       void *arg);

/* The room's subscription stands. */
void hub_mark_subscribed(struct hub *hub, struct slice name);

/* Members of the room of this name, on this pod. */
size_t hub_count_members(struct hub *hub, struct slice name);

struct hub_room_count {
    uint32_t members;
    uint32_t name_len;
    char name[ROOM_NAME_MAX];
};

/* The largest rooms, largest first; returns how many of at most `max` were written. `*total` gets
 * the number of all rooms. */
size_t hub_list_rooms(struct hub *hub, struct hub_room_count *out, size_t max, size_t *total);

/* The first rooms in the order of their names (hub_compare_names) that begin with `prefix` and come
 * behind `after` (ptr NULL: from the first one on); returns how many of at most `max` were
 * written. */
size_t hub_list_rooms_by_name(struct hub *hub, struct slice prefix, struct slice after,
                              struct hub_room_count *out, size_t max);

/* The order of names, byte by byte, for qsort over struct hub_room_count. */
int hub_compare_names(const void *a, const void *b);

struct hub_stats {
    size_t connections; /* clients that have not begun to leave */
    size_t slots;       /* those that are leaving included */
    size_t rooms;
    size_t members; /* of rooms with a name, all added up */
    struct counters counters;
};

void hub_get_stats(struct hub *hub, struct hub_stats *out);

/* --- for shards and clients --- */

/* Counts a member in, for a client of this loop; the array comes next. ERR_NOMEM. */
MUST_USE enum err hub_enter(struct hub *hub, struct slice name, unsigned loop, bool deflate,
                            struct membership *membership);

/* One of opts.loops. */
struct shard *hub_shard(struct hub *hub, unsigned i);

bool hub_is_draining(const struct hub *hub);
/* Takes the membership's count of its room on this loop back. The member's array has let go. */
void hub_release_membership(struct hub *hub, struct membership *membership, unsigned loop,
                            bool deflate);
/* A client has begun to leave; and: its slot is free. */
void hub_client_left(struct hub *hub);
void hub_client_freed(struct hub *hub);
/* Whether another loop has so much to do that this one should let it catch up. */
bool hub_is_overloaded(const struct hub *hub, unsigned except_loop);
