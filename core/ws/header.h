#pragma once

/*
 * The header of an incoming frame, judged octet by octet as it arrives (RFC 6455 5.2 to 5.5).
 *
 *     octet 0            octet 1          0, 2 or 8 octets   4 octets
 *     FIN RSV123 opcode  MASK length      longer length      masking key
 *
 * wslay's frame layer shows a header together with the first payload only, and what it refuses it
 * refuses without saying why. So a header is gathered and judged here, and goes to wslay whole.
 *
 * Threads: the loop that owns the parser.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/ws/frame.h"

enum { WS_CLIENT_HEADER_MAX = 14 };

/* Why a connection has to end: the code and the reason for our Close. Constants only. */
struct ws_breach {
    unsigned code;
    const char *reason;
};

/* All zero: nothing has come. */
struct ws_header {
    unsigned char octets[WS_CLIENT_HEADER_MAX];
    uint8_t have;    /* of them */
    uint8_t len;     /* of the header, once octet 1 is there; 0 before */
    bool fin;        /* the following are set as their octets come */
    bool compressed; /* RSV1 */
    enum ws_opcode opcode;
    uint64_t payload_len;
};

/* What a header is judged against. */
struct ws_header_rules {
    bool deflate;    /* RSV1 was agreed on */
    bool fragmented; /* a data message has begun, so only its continuation may come */
};

/*
 * Moves octets of the header from `bytes`; stops at its end. Returns the rule it breaks as soon as
 * that shows, else NULL.
 */
const struct ws_breach *ws_header_feed(struct ws_header *header,
                                       const struct ws_header_rules *rules, struct slice *bytes);

static inline bool ws_header_is_whole(const struct ws_header *header)
{
    return header->len != 0 && header->have == header->len;
}

static inline bool ws_header_is_control(const struct ws_header *header)
{
    return (header->opcode & 0x8) != 0;
}
