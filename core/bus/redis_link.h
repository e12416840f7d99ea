#pragma once

/*
 * One connection to Redis that never blocks and comes back by itself.
 *
 *     WAITING ─▶ LOOKUP ─▶ CONNECTING ─▶ GREETING ─▶ UP
 *        ▲    (a name)                (AUTH SELECT PING)  │
 *        └────────────── lost, after a while ◀────────────┘
 *
 * Whoever uses it appends commands while UP, says how many replies they bring, and gets replies in
 * order. No reply while some are owed for BUS_ANSWER_TIMEOUT_MS: the connection is lost.
 *
 * Threads: the bus thread.
 * Owns: the hiredis context with its socket, which is closed only in calls made from the bus's
 * loop (on_event, tick, flush, close), never while a callback runs.
 */

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/bus/backoff.h"
#include "core/bus/log_pause.h"
#include "core/bus/lookup.h"
#include "core/bus/redis_url.h"

enum {
    /* Commands are appended while less than this waits to be written: hiredis has no bound. */
    REDIS_LINK_UNSENT_MAX = 256 * 1024,
    /* A reply that grows past this is not read to its end. Redis cuts a subscriber at 32 MB. */
    REDIS_LINK_REPLY_MAX = 64 * 1024 * 1024,
};

enum redis_link_state {
    REDIS_LINK_WAITING, /* for the next attempt */
    REDIS_LINK_LOOKUP,
    REDIS_LINK_CONNECTING,
    REDIS_LINK_GREETING,
    REDIS_LINK_UP,
};

struct redis_link_opts {
    const struct redis_url *url; /* good as long as the link */
    const char *name;            /* for the log; a constant */
    int epoll_fd;
    int wake_fd; /* an eventfd that wakes the loop */
    uint64_t (*clock_ms)(void);
    void *arg;
    void (*on_up)(void *arg);
    /* NULL, or why the connection is of no use any more; good until the next call. Appends at
     * will. */
    const char *(*on_reply)(void *arg, struct redisReply *reply);
    /* Was UP and is no more. */
    void (*on_down)(void *arg);
};

struct redis_link {
    struct redis_link_opts opts;
    enum redis_link_state state;
    redisContext *context; /* NULL in WAITING and LOOKUP */
    struct lookup *lookup; /* in LOOKUP only */
    uint32_t interest;     /* epoll events asked for */
    unsigned greetings;    /* replies of the greeting still missing */
    unsigned attempts;     /* since the last time UP */
    size_t owed;           /* replies that Redis owes us */
    uint64_t progress_ms;  /* bytes came, or the first reply came to be owed */
    uint64_t up_ms;        /* when it came UP */
    uint64_t due_ms;       /* of the next attempt; in CONNECTING: when to give up */
    bool broken;           /* an append found no memory: commands are cut, so nothing may follow */
    struct backoff backoff;
    struct log_pause log_pause;
};

void redis_link_init(struct redis_link *link, const struct redis_link_opts *opts);

/* Closes without a word and calls nothing back. */
void redis_link_fini(struct redis_link *link);

/* Says QUIT when UP, closes, calls nothing back, and makes no more attempts. */
void redis_link_quit(struct redis_link *link);

/* Whether an error reply says that this Redis cannot serve now, not that the command is at fault.
 */
bool redis_link_error_is_passing(const char *error);

/* Attempts, time-outs. To be called every turn of the loop. */
void redis_link_tick(struct redis_link *link, uint64_t now_ms);

/* When the next tick has something to do; UINT64_MAX for never. */
uint64_t redis_link_next_ms(const struct redis_link *link);

/* What epoll said about the socket; the link is what was registered with it. */
void redis_link_on_event(struct redis_link *link, uint32_t events);

/* Writes what was appended, as far as the socket takes it. Once at the end of a turn. */
void redis_link_flush(struct redis_link *link);

static inline bool redis_link_is_up(const struct redis_link *link)
{
    return link->state == REDIS_LINK_UP;
}

/* Whether it is UP and takes more commands now. */
bool redis_link_has_room(const struct redis_link *link);

/* Bytes that REDIS_LINK_UNSENT_MAX leaves. */
size_t redis_link_get_room(const struct redis_link *link);

/* A command is its number of words, then each word, which may be put together from pieces. */
void redis_link_append_head(struct redis_link *link, size_t words);
void redis_link_append_word(struct redis_link *link, const struct slice *pieces, size_t count);
void redis_link_append_str(struct redis_link *link, const char *word);
/* Whole commands, already written in Redis' protocol. */
void redis_link_append_raw(struct redis_link *link, struct slice commands);

/* Notes that the commands just appended bring `replies` replies. */
void redis_link_ask(struct redis_link *link, size_t replies);
/* Notes that one of them came. */
void redis_link_answered(struct redis_link *link);
