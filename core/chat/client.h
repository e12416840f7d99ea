#pragma once

/*
 * One WebSocket connection: what it sends, what waits for it, and how it ends.
 *
 *     admitted ─▶ open ─▶ closing ─▶ finishing ─▶ gone (freed at the end of the turn)
 *     (no socket  │       (our Close   (FIN is out, the
 *      yet)       │        is out)      peer's is awaited)
 *                 └──────────────────────────────▶ gone (reset, EOF without a Close)
 *
 * An idle client is this struct and a socket: the parser, the queue, the inflater and what else
 * belongs to something under way (client_work.h) are there only while they are needed.
 *
 * Threads: client_attach and client_abandon: the one that admitted it (hub_admit). All else: its
 * loop.
 * Owns: its socket, its queue, its memberships.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/agenda.h"
#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/slice.h"
#include "core/base/uuid.h"
#include "core/chat/room.h"
#include "core/net/conn.h"
#include "core/ws/session.h"

struct client_work;
struct hub_admission;
struct shard;
struct strikes;
struct user;

enum {
    CLIENT_PACE_PER_MS = 4,
    CLIENT_PACE_BYTES_PER_US = 16, /* and no more of their bytes */
    CLIENT_PACE_BURST = 32,        /* messages at once */
    CLIENT_PACE_AFTER_MS = 50,     /* for so long a room stays pressed */
    /* A member that fell behind only just, and is about to be given up, slows senders down further:
     * one message in so many milliseconds. Only for so long: who stalls for good slows nobody. */
    CLIENT_PACE_CRITICAL_MS = 5,
    CLIENT_PACE_GRACE_MS = 200,
    /* Of one client a turn reads so many bytes that about CLIENT_READ_FRAMES come of it: what a
     * burst brings is written to those who get it before more is read. */
    CLIENT_READ_FRAMES = 64,
    CLIENT_READ_PRESSED = 512, /* from one who does not take what it is sent */
    CLIENT_READ_MIN = 1024,
    CLIENT_READ_FIRST = 4096,
    CLIENT_READ_MAX = 16 * 1024,
    /* And no more than this, and a message, of what was compressed: a few bytes become many. What
     * is behind it waits for the end of the turn, when a few of all who wait have theirs. */
    CLIENT_INFLATED_MAX = 64 * 1024,
    /* Frames that end no message (pings, pongs, fragments), and messages that are refused, have
     * this share of the loop's time, all clients together: so many microseconds each, and so many
     * ahead. Whoever brings fewer than CLIENT_CHATTER_FREE in a read never waits for that. */
    CLIENT_CHATTER_US = 2,
    CLIENT_CHATTER_AHEAD_US = 2000,
    CLIENT_CHATTER_FREE = 16,
    /* Who brought so much in a read is heavy: it is read from at the end of the turn, when all
     * others were, and of all such clients a turn takes SHARD_HEAVY_MAX. What a read costs: one for
     * each frame, and one for each so many bytes. */
    CLIENT_HEAVY_FROM = 16,
    CLIENT_COST_BYTES = 1024,
    CLIENT_EXPIRING_MS = 60 * 1000, /* so long before its token is over it is told (hub_opts) */
    CLIENT_REFUSALS_MAX = 100,      /* within a minute: so many end the client */
};

enum client_state {
    CLIENT_ADMITTED,
    CLIENT_OPEN,
    CLIENT_CLOSING,
    CLIENT_FINISHING,
    CLIENT_GONE,
};

struct client {
    struct conn conn; /* first: the loop's source is the client */

    /* All that a message to many looks at, in one or two lines of the cache. */
    struct client_work *work;       /* what is under way; NULL: nothing */
    struct membership room, global; /* the one of the path, once left none; everybody's */
    uint32_t turn;                  /* of the shard, when it was last counted in a dirty part */
    uint8_t state;                  /* enum client_state */
    uint8_t dirty_parts;            /* it is in so many (2: or more) of the turn's dirty parts */
    bool deflate_out : 1;           /* takes frames compressed with a full window */
    bool close_sent : 1;     /* our Close is queued or out, or can't be: nothing more is queued */
    bool close_received : 1; /* the peer's Close is here, or can no longer be understood */
    bool must_flush : 1;     /* at the end of the turn */
    bool must_leave : 1;     /* likewise, behind that */
    bool in_long_frame : 1;  /* its last read brought no whole frame, and more is to come */
    bool heavy : 1;          /* its last read brought much */
    bool throttled : 1;      /* not read from: too much waits for it */
    bool events : 1;         /* asked for chat.events.v1 */
    bool told : 1;           /* its memberships were told (hub_opts.on_member) */
    bool warned : 1;         /* that its token is soon over (hub_opts.on_expiring) */
    bool left : 1;           /* has given up its memberships */
    bool lost : 1;           /* its connection broke: what it said before is heard yet */

    struct ws_session session;
    struct shard *shard;
    struct list_link timer;     /* in the shard's quiet, pinged or ending */
    struct list_link due;       /* in the shard's due, while it must be flushed or must leave */
    struct user *user;          /* counted; NULL: authentication is off */
    struct strikes *refusals;   /* by limits, of the last minute; NULL: none yet */
    struct seat *seats;         /* of further rooms, the hidden ones included */
    struct room *home;          /* counted: where a message without a room goes; NULL: none */
    uint64_t heard_ms;          /* its last sign of life; when the close began, from then on */
    const char *close_reason;   /* a constant, or what the work's `said` is */
    void *data;                 /* client_set_data */
    struct agenda_entry expiry; /* in the shard's expiries, while it has a user */
    uint16_t close_code;
    uint16_t read_bytes; /* to read at once, at a boundary */
    uint16_t tasks;      /* of it in the mailbox: it must not be freed before they ran */
    char id[UUID_TEXT_LEN];
};

/* Whether a client with these parameters takes compressed frames: those that are shared need a full
 * window. */
bool client_takes_deflate(const struct deflate_params *deflate);
/* For hub_admit: a client that is in no room yet. NULL without memory. */
MUST_USE struct client *client_try_create(struct shard *shard,
                                          const struct hub_admission *admission);
/* For hub_admit: it does not join after all; its memberships are given up. */
void client_discard(struct client *client);
/* For hub_admit, once the memberships are set and counted: it enters the arrays on its loop. */
void client_join(struct client *client);

/* Hands the socket over, with the bytes that came behind the request. Takes the descriptor. */
void client_attach(struct client *client, int fd, struct slice early);

/* The socket will never come. */
void client_abandon(struct client *client);

struct slice client_id(const struct client *client);
/* Who its token names, NULL without one. Not counted for the caller. */
const struct user *client_user(const struct client *client);
/* The user's id; of somebody without a token, the client's. What its messages are from. */
struct slice client_user_id(const struct client *client);
struct shard *client_shard(const struct client *client);
/* Whether its last read brought much; on its loop. */
bool client_is_heavy(const struct client *client);

/* Where its messages go that name no room: the room of its path or query, even after it left that;
 * NULL when it has none. Not counted for the caller. */
struct room *client_home(const struct client *client);

/* Whether it asked for what the service itself says (chat.events.v1). */
bool client_is_events(const struct client *client);

/* Whatever the program wants to keep with the client; NULL at first. */
void *client_data(const struct client *client);
void client_set_data(struct client *client, void *data);
/*
 * A new token of the same user: its end counts from now on; the client has a count of its own. That
 * it is soon over is said by half of its time when all of that is short, lest a client whose tokens
 * are never good for long does nothing but renew them. ERR_NOMEM leaves the client with the old
 * one.
 */
MUST_USE enum err client_set_user(struct client *client, struct user *user);

/* Sends a text message to this client alone, behind all that was published to it so far: a reply
 * keeps its place among the client's own messages. */
void client_reply(struct client *client, struct slice json);
/* The same from a task on the client's loop, at once: what is published from now on comes behind
 * it, and what it says is not out of date before it is read. */
void client_reply_now(struct client *client, struct slice json);
/* Sends a message to this client alone, ahead of what the turn brought its rooms; for the echo
 * build. */
void client_send(struct client *client, enum ws_opcode opcode, struct slice payload);

/*
 * The client published to this room. While somebody there cannot keep up, each sender is held to
 * CLIENT_PACE_PER_MS messages a millisecond and CLIENT_PACE_BYTES_PER_US, so that a burst does not
 * make slow consumers of members who do read; nobody whose pace is below that waits.
 */
void client_count_publish(struct client *client, const struct room *room, size_t bytes);

/* Lets the client rest: nothing is read from it for so long, behind what it rests already. What it
 * said before is still taken. */
void client_rest(struct client *client, uint64_t ms);

/* A limit refused what the client wanted, and it was told. The CLIENT_REFUSALS_MAXth time within a
 * minute ends it. */
void client_count_refusal(struct client *client);

/*
 * Nothing that stands behind the message under way is looked at for so long, nor read: for
 * hub_opts.on_message. Who sends one thing at a time notices the most of it as a longer way.
 */
void client_hold(struct client *client, uint64_t ms);

/*
 * Ends the client: what waits for it goes out, then a Close with this code and reason (a constant,
 * at most WS_CLOSE_REASON_MAX bytes). Idempotent; nothing of the client is reported afterwards.
 */
void client_close(struct client *client, unsigned code, const char *reason);

/* --- rooms (client_rooms.c) --- */

/* The room when the client is a member of it, else NULL. Not counted for the caller. */
struct room *client_find_room(const struct client *client, struct slice name);
/* Some room that it is in, for which `fits` holds; NULL: there is none. Not counted for the caller.
 */
struct room *client_find_room_that(const struct client *client,
                                   bool (*fits)(const void *arg, struct slice name),
                                   const void *arg);
/* How many rooms it is in; hidden ones do not count. */
unsigned client_room_count(const struct client *client);

/*
 * Joining and leaving have two steps. The first one, at once, decides what client_find_room says;
 * the second one, in the loop's mailbox phase (loop_post), what the client is sent: what was
 * published to the room in between, in whatever order, is the client's or is not.
 *
 *     seat = client_reserve_room(…)       client_begin_leaving(…, &seat)
 *     client_take_seat(client, seat)      client_vacate(client, seat)
 *
 * An events client enters the group of the room's events clients with it. A seat is the client's:
 * it goes with it. The room is one that the client is not in.
 */
struct seat;
/* NULL without memory. */
MUST_USE struct seat *client_reserve_room(struct client *client, struct slice name);
/* ERR_NOMEM: the seat is gone, or, where the client began to leave already, to be vacated by that.
 */
MUST_USE enum err client_take_seat(struct client *client, struct seat *seat);
/* `*seat` NULL: it is not in that room, or, with ERR_NOMEM, it stays there. */
MUST_USE enum err client_begin_leaving(struct client *client, struct slice name,
                                       struct seat **seat);
void client_vacate(struct client *client, struct seat *seat);

/* A task about the client is posted: it is not freed before client_task_done. */
void client_task_begin(struct client *client);
/* First thing that the task does, on the loop. False: the client is gone or going, and the task
 * must not touch it. */
MUST_USE bool client_task_done(struct client *client);

/* --- for the shard --- */

/* Handlers for ws_pool_create; their argument is the client. */
extern const struct ws_handlers client_ws_handlers;

void client_on_events(struct client *client, uint32_t events);

/* A batch for this client: sent at once when nothing waits (true: the socket took it
 * whole), queued otherwise. The client may have to leave afterwards. */
bool client_deliver(struct client *client, struct batch *batch, bool queue_only);
/* The same in two steps, for writing to many sockets at once. True: the batch is to be written to
 * its socket, and client_delivered is told what came of it, before anything else happens to the
 * client; it returns what client_deliver would have. */
bool client_takes_at_once(struct client *client, struct batch *batch, bool queue_only);
bool client_delivered(struct client *client, struct batch *batch, enum err err, size_t sent);
/* The same for what stands behind `offset`: always queued. */
void client_deliver_rest(struct client *client, struct batch *batch, uint32_t offset);

/* Writes what waits as far as the socket takes it, and judges the bounds. */
void client_flush(struct client *client);

/* Whether the socket was full when last written to. */
bool client_is_pressed(const struct client *client);

/* Whether that began only just, and its queue is more than half full. */
bool client_is_critical(const struct client *client);

/* Whether half of what may wait for it does. */
bool client_is_behind(const struct client *client);

/* For on_message, on the client's loop: the message is refused. */
void client_count_refused(struct client *client);

/* Reads from a heavy client, or does not if it may not be read from now. */
void client_read_heavy(struct client *client);

/* The pause for its pace is over. */
void client_unpace(struct client *client);

/* Sends a ping. */
void client_ping(struct client *client);

/* Its token is soon over, or over with the leeway, too. */
void client_expire(struct client *client);

/* Queues the client for the end of the turn. */
void client_schedule_leave(struct client *client);

/* Leaves at the end of the turn with this code; for use while arrays are walked. */
void client_end(struct client *client, unsigned code, const char *reason);
/* The same with a reason that somebody outside gave, UTF-8 of at most WS_CLOSE_REASON_MAX bytes. */
void client_end_saying(struct client *client, unsigned code, struct slice reason);
/* Leaves at the end of the turn without a word. */
void client_drop(struct client *client);

/* The end of the turn for a client that must leave; frees it when it is over. */
void client_leave(struct client *client);
