#pragma once

/*
 * What a client sends, over bytes: from whatever TCP brought to whole messages, pings and the close
 * (RFC 6455 sections 5 to 8, RFC 7692). The other direction needs no state: frames are written once
 * and shared (frame.h).
 *
 *     bytes ─▶ wslay frame layer ─▶ rules, fragments, inflate, UTF-8 ─▶ handlers
 *
 * The session itself is small and stands in its client. What costs memory (wslay's context, the
 * message under way, an inflater) is taken from the loop's pool when the first byte of a frame
 * arrives and goes back as soon as nothing is under way.
 *
 * Threads: the loop that owns the client and the pool.
 * Owns: what it took from the pool, until ws_session_fini.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/ws/frame.h"
#include "core/ws/handshake.h"

struct ws_limits {
    size_t max_message_bytes; /* after decompression, over all fragments; that many are allowed */
    unsigned max_fragments;   /* of one message; that many are allowed (1024 by default) */
};

/*
 * Called during ws_session_feed. None may free the session; after any of them the session looks
 * whether it was stopped (ws_session_stop) before it goes on.
 */
struct ws_handlers {
    /* A whole message: WS_TEXT (valid UTF-8) or WS_BINARY. The bytes are good for the call. */
    void (*on_message)(void *arg, enum ws_opcode opcode, struct slice payload);
    /* A ping to be answered with this payload. */
    void (*on_ping)(void *arg, struct slice payload);
    /* The peer's Close, valid; code WS_CLOSE_NONE when it had none. Nothing follows. */
    void (*on_close)(void *arg, unsigned code, struct slice reason);
    /* The peer broke a rule: close with this code and reason. Nothing follows. */
    void (*on_error)(void *arg, unsigned code, const char *reason);
};

/* A loop's parsers and inflaters, and a few of them kept for the next. */
struct ws_pool;

struct ws_pool *ws_pool_create(const struct ws_limits *limits, const struct ws_handlers *handlers);
/* All sessions that used it are over. Takes NULL. */
void ws_pool_destroy(struct ws_pool *pool);
/* Parsers in use now: sessions with a frame or message under way. */
size_t ws_pool_in_use(const struct ws_pool *pool);
/* What these hold, in bytes: parsers, what is there of their messages, inflaters. */
size_t ws_pool_bytes_in_use(const struct ws_pool *pool);

struct ws_parser; /* wslay's context, the message under way, an inflater */

struct ws_session {
    struct ws_parser *parser; /* NULL while nothing is under way */
    uint32_t frames;          /* that became whole, of all kinds; wraps */
    uint32_t inflated; /* bytes of compressed messages that became whole; the owner's to reset */
    bool deflate;      /* permessage-deflate was agreed on */
    bool data_ignored; /* our Close is out: only the peer's Close matters now */
    bool stopped;      /* nothing is looked at any more */
    bool held;         /* nothing behind this message is looked at for now */
};

void ws_session_init(struct ws_session *session, const struct deflate_params *deflate);
/* Gives back what is under way. May be called again, and at any time but from a handler. */
void ws_session_fini(struct ws_session *session, struct ws_pool *pool);

/*
 * Takes the next bytes, which may be cut anywhere, and calls the pool's handlers with `arg` for
 * what is complete. After on_close, on_error or ws_session_stop the rest is dropped, as is all that
 * is fed later. Without memory: on_error with 1011.
 *
 * Returns how many bytes at the end were not looked at, 0 unless a handler called ws_session_hold:
 * they are to be fed again, before any others.
 */
size_t ws_session_feed(struct ws_session *session, struct ws_pool *pool, void *arg,
                       struct slice bytes);

/* For on_message: what stands behind this message is left for the next call of ws_session_feed. */
void ws_session_hold(struct ws_session *session);

/* Nothing more is reported. May be called from a handler. */
void ws_session_stop(struct ws_session *session);

/* Our Close was sent: data messages and pings are dropped from now on, the peer's Close and its
 * errors are still reported. May be called from a handler. */
void ws_session_ignore_data(struct ws_session *session);

/* Once data are ignored: gives back what is there of a message. Not from a handler. */
void ws_session_forget_message(struct ws_session *session, struct ws_pool *pool);

/* Whether a frame or a fragmented message has begun and is not whole yet. */
bool ws_session_is_midway(const struct ws_session *session);
/* What it holds for that, in bytes. */
size_t ws_session_bytes(const struct ws_session *session);
