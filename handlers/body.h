#pragma once

/*
 * The body of a request: whether it is taken, and its bytes.
 *
 * A body is kept only where the route takes one and the request was not refused by its head. One
 * that is refused is read to its end and forgotten, up to REQUEST_SWALLOW_MAX, for a client that
 * gets its answer while it still writes often loses it (the kernel answers what comes late with a
 * reset).
 *
 * Threads: libmicrohttpd's.
 * Owns: the bytes, until body_fini.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "handlers/reply.h"

struct request;

enum {
    REQUEST_BODY_MAX = 1024 * 1024, /* bytes, chunked coding undone */
    REQUEST_SWALLOW_MAX = 8 * REQUEST_BODY_MAX,
};

struct body {
    struct buf bytes;
    size_t len; /* that came, kept or not */
};

void body_init(struct body *body);
void body_fini(struct body *body);

/* What the head says against the body: its type, its coding, its length. */
struct refusal body_check_head(const struct request *request);

/* Whether a body that nobody wants is waited for. */
bool body_is_swallowed(const struct request *request);

/* The next piece; with `keep` unset it is only counted. False: the connection is to be given up. */
MUST_USE bool body_take(struct body *body, bool keep, const char *bytes, size_t len);

/* What the bytes themselves say against it, once all are here. */
struct refusal body_check_whole(const struct body *body);
