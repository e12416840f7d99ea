#pragma once

/*
 * The opening handshake of RFC 6455 section 4.2, over header values, for the server's side: is this
 * an upgrade, and what is the answer. And what permessage-deflate was agreed on (RFC 7692 7.1).
 *
 * Threads: any; nothing is kept.
 */

#include <stdbool.h>

#include "core/base/err.h"
#include "core/base/slice.h"

/* Base64 of a SHA-1 digest, and its terminator. */
enum { HANDSHAKE_ACCEPT_SIZE = 29 };

/* Long enough for every answer of handshake_negotiate_deflate, with its terminator. */
enum { HANDSHAKE_EXTENSIONS_SIZE = 160 };

enum handshake_result {
    HANDSHAKE_OK = 0,
    HANDSHAKE_NOT_AN_UPGRADE, /* 426 with `Upgrade: websocket` */
    HANDSHAKE_BAD_VERSION,    /* 426 with `Sec-WebSocket-Version: 13` */
    HANDSHAKE_BAD_KEY,        /* 400: missing, or not base64 of 16 bytes */
};

/* The values as they came, fields of one name joined with ", "; SLICE_NONE where absent. */
struct handshake_request {
    struct slice upgrade;    /* Upgrade */
    struct slice connection; /* Connection */
    struct slice version;    /* Sec-WebSocket-Version */
    struct slice key;        /* Sec-WebSocket-Key */
};

enum handshake_result handshake_check(const struct handshake_request *request);

/* libcrypto reads its configuration and loads itself at its first digest, which takes a millisecond
 * and 2 MB: at the start, not in the first client's handshake. */
void handshake_prepare(void);

/* Sec-WebSocket-Accept of a key that handshake_check took (RFC 6455 4.2.2 step 5.4). */
void handshake_accept(struct slice key, char out[HANDSHAKE_ACCEPT_SIZE]);

/* Takes the first element off a comma-separated list, without the blanks around it. */
struct slice handshake_next_element(struct slice *list);

/* Whether a comma-separated list has the token, without regard to case. */
bool handshake_has_token(struct slice list, const char *token);

/* Whether a Sec-WebSocket-Protocol value offers the subprotocol (RFC 6455 4.1: names are compared
 * as they are). */
bool handshake_has_protocol(struct slice list, const char *protocol);

/* What both ends agreed on for permessage-deflate. All zero: no compression. */
struct deflate_params {
    bool enabled;
    /* Both no_context_takeover are always in our answer: no state outlives a message. */
    unsigned char server_window_bits; /* 9..15; the client may ask for less than 15 */
    unsigned char
        client_window_bits; /* 9..15: what we announced, or 15; 8 is taken as 9 to inflate */
};

/*
 * Picks the first acceptable permessage-deflate offer of a Sec-WebSocket-Extensions value (RFC 7692
 * 5, 7.1) and writes the answer's value to `out`; `out` is "" and params all zero when there is
 * none. An offer with unknown, duplicate or malformed parameters is declined, not an error.
 */
void handshake_negotiate_deflate(struct slice offers, struct deflate_params *params,
                                 char out[HANDSHAKE_EXTENSIONS_SIZE]);
