#pragma once

/*
 * A scripted client at one end of a session: writes frames as clients do and notes what the
 * session's handlers heard, as text.
 *
 *     script   01'Hel' 80'lo' =8a80
 *     events   text(Hello) ping()
 *
 * A script is words with a space between:
 *     81'Hello'     a masked frame: octet 0 in hex, then its payload as it is (no spaces, no ')
 *     81x48656c     the same, payload in hex
 *     82*5000       the same, payload of so many times 'a'
 *     =8100         octets as they are, in hex
 * After a cut (see peer_feed) the masking key stays the same: 37 fa 21 3d, RFC 6455's own.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "core/ws/session.h"

struct peer {
    struct ws_pool *pool;
    struct ws_session session;
    struct buf events;     /* text, with a terminator behind it */
    size_t event_count;    /* of them, so far */
    unsigned stop_after;   /* a handler calls ws_session_stop at this event; 0: never */
    unsigned ignore_after; /* the same with ws_session_ignore_data */
};

/* Limits: 64 KiB, 1024 fragments. */
extern const struct ws_limits peer_limits;

void peer_init(struct peer *peer, const struct ws_limits *limits, bool deflate);
/* Checks that all of the pool came back. */
void peer_fini(struct peer *peer);

/* Appends the octets of a script. */
void peer_write(struct buf *octets, const char *script);
/* Appends one masked frame. */
void ws_peer_write_frame(struct buf *octets, unsigned char octet0, struct slice payload);

/* Feeds the octets in pieces of `step` (0: in one). */
void peer_feed(struct peer *peer, struct slice octets, size_t step);
void peer_feed_script(struct peer *peer, const char *script);

/* What was heard so far, "" for nothing. */
const char *peer_events(const struct peer *peer);
