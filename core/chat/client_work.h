#pragma once

/*
 * What a client has only while something is under way: bytes that wait in either direction, a
 * message that is not whole yet, a pause, its coming and its end. An idle client has none of it.
 *
 *     admitted ─▶ has work ─▶ idle ─▶ has work ─▶ …        taken when needed, given back once
 *                                                          nothing in it is in use
 *
 * Threads: the client's loop; the first one is made by the thread that admits the client.
 * Owns: what it holds. Its memory is of the shard's slab.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/slice.h"
#include "core/chat/outq.h"
#include "core/net/loop.h"

struct client;

/* Bytes that wait to be looked at; at most what one read brings. */
struct stash {
    size_t len;
    char bytes[];
};

struct client_work {
    struct client *client;
    struct loop_task task;    /* joining, later the close that was asked for */
    struct loop_task arrival; /* of its socket, or of word that none will come */
    struct list_link midway;  /* in the shard's midway */
    struct list_link paced;   /* in the shard's paced, while it is not read from for its pace */
    struct list_link heavy;   /* in the shard's heavy, while there is something to be read */
    struct stash *stash;      /* what came with the socket, or was read behind a message that held
                               * the rest up; then it is in paced, too */
    struct outq outq;
    uint64_t midway_since_ms; /* when the unfinished message began */
    uint64_t pressed_ms;      /* since when its socket is full */
    uint64_t received_ms;     /* when bytes came last, while it is full */
    uint64_t pace_us;         /* until when its messages so far fill its share of a pressed room */
    char *said;               /* the close reason that somebody outside gave; NULL: none */
    int fd;                   /* the socket on its way; -1: none */
    bool early_lost;          /* there was no memory for what came with it */
};

/* The client's, made when it has none; NULL without memory. The thread that admits it may call
 * this, too. */
MUST_USE struct client_work *client_need_work(struct client *client);
/* Gives the client's back when nothing in it is in use. */
void client_settle(struct client *client);
/* Gives it back with all that it holds; harmless when there is none. */
void client_end_work(struct client *client);

/* The bytes in memory of their own; NULL without memory. */
MUST_USE struct stash *stash_try_create(struct slice bytes);
