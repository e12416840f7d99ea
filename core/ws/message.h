#pragma once

/*
 * The data message under way: its fragments, inflated where they are compressed, held until the
 * last one is there. Judged as it grows: size, number of fragments, UTF-8.
 *
 *     begin ─▶ count_frame ─▶ add, add … ─▶ count_frame ─▶ add … ─▶ whole ─▶ end
 *
 * Threads: the loop that owns the parser.
 * Owns: its bytes. The inflater is the caller's.
 */

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/slice.h"
#include "core/base/utf8.h"
#include "core/ws/deflate.h"
#include "core/ws/header.h"
#include "core/ws/session.h"

struct ws_message {
    bool open;       /* begun, and its last fragment is not whole yet */
    bool compressed; /* RSV1 of the first frame */
    enum ws_opcode opcode;
    unsigned fragments;
    struct utf8_state utf8;    /* where the text so far stands */
    struct buf bytes;          /* what came before the piece at hand, inflated */
    struct inflater *inflater; /* lent while a compressed message is open, else NULL */
};

void ws_message_init(struct ws_message *message, size_t max_bytes);
void ws_message_fini(struct ws_message *message);

/* At the first frame. */
void ws_message_begin(struct ws_message *message, const struct ws_header *header);

/* At each frame, once its header is there; NULL, or the limit that the message passes with it. */
const struct ws_breach *ws_message_count_frame(struct ws_message *message,
                                               const struct ws_header *header,
                                               const struct ws_limits *limits);

/*
 * Takes the next piece of payload, unmasked. With the message's last piece (it may be empty)
 * `whole` becomes the message, good until the piece or the message changes. NULL, or the rule that
 * is broken.
 */
const struct ws_breach *ws_message_add(struct ws_message *message, struct slice piece, bool last,
                                       struct slice *whole);

/* Forgets the message, keeps memory up to WS_MESSAGE_KEEP_BYTES for the next. */
void ws_message_end(struct ws_message *message);

enum { WS_MESSAGE_KEEP_BYTES = 16 * 1024 };

extern const struct ws_breach ws_out_of_memory;
