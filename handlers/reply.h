#pragma once

/*
 * Answers: the few shapes that HTTP bodies have here.
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "handlers/limited.h"

/* Sent with every page and document: nothing from elsewhere, nothing inline. */
#define REPLY_PAGE_POLICY                                                                          \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "              \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* Queues `body` (whose memory is taken) with this type, not to be cached. ERR_* in `body` becomes
 * a 500. */
enum MHD_Result reply_text(struct MHD_Connection *connection, unsigned status,
                           const char *content_type, struct buf *body);

/* A header for reply_fault; a list ends with a NULL name. */
struct reply_header {
    const char *name;
    const char *value;
};

/* Why a request is not served, decided before anything is done for it. */
struct refusal {
    unsigned status; /* 0: it is served */
    struct fault fault;
    struct limited limited; /* what is told instead of the fault when it has a limit */
    struct reply_header headers[4];
};

/* Queues the body of a fault; `headers` may be NULL. */
enum MHD_Result reply_fault(struct MHD_Connection *connection, unsigned status,
                            const struct fault *fault, const struct reply_header *headers);

enum MHD_Result reply_refusal(struct MHD_Connection *connection, const struct refusal *refusal);
