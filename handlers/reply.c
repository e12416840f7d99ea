#include "handlers/reply.h"

#include <stdio.h>

#include "core/base/fault.h"
#include "core/base/mem.h"
#include "handlers/limited.h"

enum { FAULT_BODY_MAX = 4096 };

static void add_common_headers(struct MHD_Response *response, const char *content_type)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'none'; frame-ancestors 'none'");
}

static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status,
                             const char *content_type, struct buf *body,
                             const struct reply_header *headers)
{
    size_t len = body->len;
    char *bytes = buf_take(body);
    struct MHD_Response *response =
        bytes != NULL ? MHD_create_response_from_buffer_with_free_callback(len, bytes, mem_free)
                      : NULL;
    if (response == NULL) {
        mem_free(bytes);
        return MHD_NO;
    }
    add_common_headers(response, content_type);
    for (; headers != NULL && headers->name != NULL; headers++)
        MHD_add_response_header(response, headers->name, headers->value);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result reply_text(struct MHD_Connection *connection, unsigned status,
                           const char *content_type, struct buf *body)
{
    if (body->err == ERR_OK)
        return queue(connection, status, content_type, body, NULL);
    struct fault fault = {.code = FAULT_INTERNAL, .message = "out of memory"};
    buf_fini(body);
    return reply_fault(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, &fault, NULL);
}

enum MHD_Result reply_fault(struct MHD_Connection *connection, unsigned status,
                            const struct fault *fault, const struct reply_header *headers)
{
    struct buf body;
    buf_init(&body, FAULT_BODY_MAX);
    fault_append_json(&body, fault, NULL, 0);
    return queue(connection, status, "application/json", &body, headers);
}

static enum MHD_Result reply_limited(struct MHD_Connection *connection,
                                     const struct limited *limited)
{
    static const struct fault fault = {.code = FAULT_RATE_LIMITED,
                                       .message = "too often; try again later"};
    struct buf body, scratch;
    struct fault_extra extras[LIMITED_EXTRAS];
    char seconds[24];
    struct reply_header headers[] = {{MHD_HTTP_HEADER_RETRY_AFTER, seconds}, {NULL, NULL}};
    snprintf(seconds, sizeof seconds, "%ju", (uintmax_t)((limited->retry_after_ms + 999) / 1000));
    buf_init(&body, FAULT_BODY_MAX);
    buf_init(&scratch, FAULT_BODY_MAX);
    limited_extras(limited, &scratch, extras);
    fault_append_json(&body, &fault, extras, LIMITED_EXTRAS);
    buf_fini(&scratch);
    return queue(connection, MHD_HTTP_TOO_MANY_REQUESTS, "application/json", &body, headers);
}

enum MHD_Result reply_refusal(struct MHD_Connection *connection, const struct refusal *refusal)
{
    if (refusal->limited.limit != NULL)
        return reply_limited(connection, &refusal->limited);
    return reply_fault(connection, refusal->status, &refusal->fault, refusal->headers);
}
