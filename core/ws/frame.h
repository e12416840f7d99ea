#pragma once

/*
 * One outgoing frame, written through wslay's frame layer: header and payload as they go on the
 * wire, unmasked, in shortest form (RFC 6455 5.2).
 *
 * Threads: any; each keeps one wslay context until it ends.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xA,
};

enum {
    WS_FRAME_HEADER_MAX = 10,     /* of an unmasked frame */
    WS_CONTROL_PAYLOAD_MAX = 125, /* RFC 6455 5.5 */
    WS_CONTROL_FRAME_MAX = 2 + WS_CONTROL_PAYLOAD_MAX,
    WS_CLOSE_REASON_MAX = WS_CONTROL_PAYLOAD_MAX - 2,
};

/* Close codes (RFC 6455 7.4.1) and our own (CONTRACT: connections). */
enum ws_close_code {
    WS_CLOSE_NONE = 0, /* a Close without a code; never on the wire */
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_UNSUPPORTED_DATA = 1003,
    WS_CLOSE_INVALID_PAYLOAD = 1007,
    WS_CLOSE_MESSAGE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_SLOW_CONSUMER = 4002,
    WS_CLOSE_RATE_LIMITED = 4003,
    WS_CLOSE_HEARTBEAT_TIMEOUT = 4004,
    WS_CLOSE_MESSAGE_TIMEOUT = 4005,
    WS_CLOSE_AUTH_ENDED = 4500,
};

/* Bytes of the header of an unmasked frame with this payload: 2, 4 or 10. */
size_t ws_frame_header_len(size_t payload_len);

/*
 * Writes the header of a whole (FIN) frame to `out`, which has WS_FRAME_HEADER_MAX bytes; returns
 * its length. `compressed` sets RSV1 (RFC 7692 6).
 */
size_t ws_frame_write_header(enum ws_opcode opcode, bool compressed, size_t payload_len, void *out);

/*
 * Writes a whole Close frame to `out` (WS_CONTROL_FRAME_MAX bytes); returns its length. A reason
 * over WS_CLOSE_REASON_MAX bytes is cut at a character's boundary. WS_CLOSE_NONE: no payload.
 */
size_t ws_frame_write_close(unsigned code, struct slice reason, void *out);

/* Whether a peer may send this code in a Close frame (RFC 6455 7.4.1, 7.4.2; 1012-1014 of IANA). */
bool ws_close_code_is_valid(unsigned code);
