#pragma once

/*
 * The last messages of the rooms that this pod carries, its own and other pods': who sent which id,
 * whether it was deleted, and who marked it as delivered or read (EVENTS: events, message status).
 * The text of a message is not kept, only a hash of it.
 *
 *     oldest ◀── ring of `size` messages ──▶ newest        a hash table finds them by id
 *
 * Marks stand in two tables that take turns, each for as many messages as the window holds: when
 * one begins anew, all that it knew is of messages that have left the window.
 *
 * Threads: any; one lock, held for a look-up.
 * Owns: what it remembers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

enum {
    WINDOW_SENDER_MAX = 128,    /* bytes of a user's id */
    WINDOW_MARKS_MAX = 1 << 20, /* of each table; marks past it are passed on every time */
    WINDOW_SIZE_MAX = 16777216,
};

struct window;

/* `size` messages; 0: nothing is remembered. NULL without memory. */
struct window *window_create(size_t size);
/* Takes NULL. */
void window_destroy(struct window *window);

/* A message as it goes out. Names are any text; they are compared, not shown. */
struct window_message {
    struct slice id; /* a UUID's text */
    struct slice room;
    struct slice sender;
    struct slice content; /* what must be the same when the id comes again; ptr NULL: not known */
    uint64_t timestamp_ms;
};

enum window_verdict {
    WINDOW_NEW,       /* remembered now */
    WINDOW_DUPLICATE, /* the same id from the same user, with the same content in the same room */
    WINDOW_CONFLICT,  /* the same id with something else */
};

/*
 * A message of a client on this pod whose sender named the id. WINDOW_DUPLICATE writes when the
 * first one was taken in to `*first_ms`. Another user's message of that id is no conflict: ids are
 * each user's own.
 */
enum window_verdict window_claim(struct window *window, const struct window_message *message,
                                 uint64_t *first_ms);

/* A message whose id nobody claimed here: the server made it, or it came from elsewhere. */
void window_add(struct window *window, const struct window_message *message);

enum window_owner {
    WINDOW_UNKNOWN, /* too old, or never seen: nothing speaks against it */
    WINDOW_OWN,
    WINDOW_NOT_OWN,    /* another user's */
    WINDOW_OTHER_ROOM, /* not of this room */
    WINDOW_DELETED,
};

/* Whether `sender` may edit or delete that message of the room. */
enum window_owner window_check_owner(struct window *window, struct slice id, struct slice room,
                                     struct slice sender);

/* The sender deleted it. A message that is not known, or not that sender's, stays as it is. */
void window_delete(struct window *window, struct slice id, struct slice room, struct slice sender);

struct window_mark {
    struct slice id, room;
    struct slice user; /* who got the message */
    bool read;         /* otherwise delivered */
};

struct window_sender {
    size_t len;
    char bytes[WINDOW_SENDER_MAX];
};

/*
 * Notes a mark. True when the message is known, not the user's own, and this is news: `sender` is
 * then who sent it. Read implies delivered: a delivered mark after it is no news.
 */
bool window_add_mark(struct window *window, const struct window_mark *mark,
                     struct window_sender *sender);

/* Notes a mark that another pod told of. False: it is no news here. Of a message that is not known
 * here, all is news. */
bool window_hear_mark(struct window *window, const struct window_mark *mark);
