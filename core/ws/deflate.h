#pragma once

/*
 * permessage-deflate's two transformations (RFC 7692 7.2) over whole messages, without context
 * takeover: nothing of one message is needed for the next.
 *
 *     deflater: one per thread, compresses whole messages, to be shared by all who get them
 *     inflater: taken from the pool when a compressed message begins, given back at its end
 *
 * Threads: each object belongs to one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

struct deflater;

/* window_bits 9..15. NULL when there is no memory. */
struct deflater *deflater_create(int window_bits);
void deflater_destroy(struct deflater *deflater);

/*
 * Appends the compressed message to `out` as it goes into frames: without the final 00 00 FF FF,
 * and never empty (an empty message is the octet 00, RFC 7692 7.2.3.6). ERR_NOMEM or ERR_FULL from
 * `out` leaves rubbish behind the former length in it; the deflater can be used on. While it works
 * it needs room for five octets more than the outcome, so an `out` bounded by the size of the plain
 * message also tells (ERR_FULL) that compression is not worth it.
 */
enum err deflater_run(struct deflater *deflater, struct slice message, struct buf *out);

struct inflater;

/* For any peer window (15 bits). NULL when there is no memory. */
struct inflater *inflater_create(void);
void inflater_destroy(struct inflater *inflater);

/* Back to the beginning of a message. */
void inflater_reset(struct inflater *inflater);

/*
 * Inflates the next piece of a message and appends it to `out`; `last` with the message's last
 * piece (which may be empty) supplies the missing 00 00 FF FF. ERR_FULL as soon as more than the
 * room left up to `out->max` would come out, whatever the ratio; ERR_INVALID on broken data;
 * ERR_NOMEM. A block with BFINAL does not end the message (RFC 7692 7.2.3.4): blocks behind it are
 * inflated as a stream of their own, and where nothing follows nothing is missing.
 */
MUST_USE enum err inflater_feed(struct inflater *inflater, struct slice piece, bool last,
                                struct buf *out);
