#pragma once

/*
 * One loop's share of the hub: its clients, its rooms' parts, and the end of each turn, where what
 * the turn brought is written.
 *
 *     end of turn: dirty parts ─▶ one send per member ─▶ queues ─▶ timers ─▶ those who leave
 *
 * Threads: its loop, but for create, destroy and reading the counters.
 * Owns: its loop, the pool of parsers, and every client from client_attach or client_abandon on.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/base/agenda.h"
#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/slab.h"
#include "core/chat/counters.h"
#include "core/chat/message.h"
#include "core/limit/limit.h"
#include "core/net/loop.h"
#include "core/ws/session.h"

enum {
    /* Read at once from one client while a long message is under way. */
    SHARD_READ_BYTES = 64 * 1024,
    /* So many tasks waiting at another loop let this one read no more for a moment. */
    SHARD_PENDING_MAX = 4096,
    /* Clients whose token is over, or soon is, that one turn takes. */
    SHARD_EXPIRIES_MAX = 256,
    /* Clients that one turn reads from again after a pause, or visits after they were lost. */
    SHARD_UNPACED_MAX = 16,
    /* What reading from heavy clients may cost in a turn (CLIENT_COST_BYTES), about a quarter of a
     * millisecond, while there are others: one of them said something, here or to members here, so
     * long ago at most. */
    SHARD_HEAVY_MAX = 256,
    SHARD_LIGHT_MS = 10,
};

struct burst;
struct client;
struct flush;
struct hub;
struct room;

struct shard {
    struct hub *hub;
    unsigned index;
    struct loop *loop;
    struct ws_pool *pool;
    struct compressor compressor;
    struct buf scratch;     /* for composing one message at a time */
    struct message *notice; /* counted: said to each events client that comes; NULL: nothing */
    struct counters counters;
    size_t held_bytes;   /* of batches that wait in queues, each counted once */
    struct burst *burst; /* for large rooms; NULL: none is wanted or allowed */
    struct flush *flush; /* under way */
    uint32_t turn; /* counts turns with several dirty parts, to find who is in more than one */

    struct list dirty;      /* parts with a batch under way */
    struct list due;        /* clients that must be flushed or must leave at the end of the turn */
    struct list quiet;      /* clients by when they were last heard */
    struct list pinged;     /* the same, those that were sent a ping since */
    struct list paced;      /* clients that are not read from for a moment */
    struct list heavy;      /* clients that bring much, to be read from at the end of the turn */
    struct list midway;     /* clients by when their unfinished message began */
    struct list ending;     /* clients by when their close began */
    struct agenda expiries; /* clients by when their token is over */
    uint64_t light_ms;      /* when somebody who is not heavy said something, here or to members */
    bool visits_due;        /* to who is lost: the next turn comes at once */
    uint64_t chatter_us;    /* until when the share of frames that end no message is used up */
    uint32_t read_frames;   /* that became whole in the read under way, of all kinds */
    uint32_t read_messages; /* likewise, messages */
    uint32_t read_refused;  /* of these, those that were refused */
    uint32_t read_cost;     /* what the last read cost */

    struct bucket refused_lines; /* refused messages that the log tells of */

    /* Memory of its clients, and of what they have under way (client_work.h); the thread that
     * admits a client takes from both. */
    struct slab clients, works;

    unsigned char read_buffer[SHARD_READ_BYTES];
};

MUST_USE enum err shard_create(struct hub *hub, unsigned index, struct shard **out);
/* Takes NULL. The loop is stopped, the clients are gone. */
void shard_destroy(struct shard *shard);

/* A message for the room's members here; it is written at the end of the turn. */
void shard_take(struct shard *shard, struct room *room, const struct message *message);

/* The same for a message that is of no use later: not for the client of this id, and not for those
 * who have much waiting. */
void shard_take_passing(struct shard *shard, struct room *room, const struct message *message,
                        struct slice except);

/* The same for events clients alone, of all clients; `stands` as with hub_announce. */
void shard_take_announced(struct shard *shard, struct message *message, bool stands);

/* Ends all clients with 1001. */
void shard_close_all(struct shard *shard);

/* Drops all clients at once. */
void shard_drop_all(struct shard *shard);
