#pragma once

/*
 * One message as it goes to clients: written as JSON once, framed once (once more if compressed),
 * shared by every loop and by the bus from then on.
 *
 * Threads: whoever creates it may compress it before sharing; immutable and counted afterwards, so
 * any thread may read, retain and release.
 * Owns: its blobs, one count of each.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/blob.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/ws/frame.h"

struct deflater;

struct message {
    atomic_uint refs;
    uint64_t received_ns;  /* clock_monotonic_ns when this pod took it in */
    struct blob *plain;    /* frame header, then the payload */
    size_t payload_at;     /* where the payload begins in `plain` */
    bool heavy;            /* of a client that brings much (client.h); before it is shared */
    enum ws_opcode opcode; /* WS_TEXT; WS_BINARY in the echo build */
    struct blob *deflated; /* the compressed frame; NULL where it is not worth it */
};

/* What a thread needs to compress: made on first use, kept. */
struct compressor {
    struct deflater *deflater;
    struct buf scratch;
};

void compressor_init(struct compressor *compressor);
void compressor_fini(struct compressor *compressor);

/* One count, for the caller. NULL without memory. */
MUST_USE struct message *message_try_create(enum ws_opcode opcode, struct slice payload,
                                            uint64_t received_ns);

/* Adds the compressed frame when that is smaller. Before the message is shared. Without memory it
 * just stays plain. */
void message_compress(struct message *message, struct compressor *compressor);

struct message *message_retain(struct message *message);
/* Takes NULL. */
void message_release(struct message *message);

struct slice message_payload(const struct message *message);

/* The frame for clients with or without permessage-deflate. */
struct slice message_frame(const struct message *message, bool deflate);
