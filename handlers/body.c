#include "handlers/body.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "handlers/request.h"

void body_init(struct body *body)
{
    *body = (struct body){.len = 0};
    buf_init(&body->bytes, REQUEST_BODY_MAX);
}

void body_fini(struct body *body)
{
    buf_fini(&body->bytes);
}

static struct refusal too_large(void)
{
    return (struct refusal){
        .status = MHD_HTTP_CONTENT_TOO_LARGE,
        .fault = {.code = FAULT_INVALID_PAYLOAD, .message = "a body has at most 1048576 bytes"}};
}

static struct refusal unsupported(const char *message, const char *field)
{
    return (struct refusal){
        .status = MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
        .fault = {.code = FAULT_INVALID_PAYLOAD, .message = message, .field = field}};
}

static const char *lookup(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* --- where it ends --- */

/* What the head says of it. */
struct framing {
    unsigned lengths, codings; /* fields */
    bool is_chunked;           /* the last coding, as libmicrohttpd knows it */
    bool has_blank_name;       /* which some take for the name without the blank */
};

static enum MHD_Result note_framing(void *arg, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct framing *framing = arg;
    (void)kind;
    framing->has_blank_name |= strpbrk(name, " \t") != NULL;
    framing->lengths += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        framing->codings++;
        framing->is_chunked = value != NULL && strcasecmp(value, "chunked") == 0;
    }
    return MHD_YES;
}

/* RFC 9112 5.1, 6.1, 6.3: whoever stands in front may understand something else. */
struct refusal body_check_framing(const struct request *request)
{
    struct framing framing = {.lengths = 0};
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, note_framing, &framing);
    bool is_plain = framing.codings == 0 && framing.lengths <= 1;
    bool is_chunked = framing.codings == 1 && framing.is_chunked && framing.lengths == 0;
    if (!framing.has_blank_name && (is_plain || is_chunked))
        return (struct refusal){0};
    return (struct refusal){
        .status = MHD_HTTP_BAD_REQUEST,
        .fault = {.code = FAULT_INVALID_PAYLOAD,
                  .message = "a request's length is told once: by Content-Length, or by "
                             "Transfer-Encoding: chunked"},
        .headers = {{MHD_HTTP_HEADER_CONNECTION, "close"}}};
}

/* --- its head --- */

/* Whether a header's value is this word, with blanks around it and perhaps parameters behind. */
static bool is_word(const char *value, const char *word)
{
    value += strspn(value, " \t");
    size_t len = strlen(word);
    if (strncasecmp(value, word, len) != 0)
        return false;
    value += len;
    value += strspn(value, " \t");
    return *value == '\0' || *value == ';';
}

/* The announced length; 0 where none is, ULLONG_MAX where it is past all bounds. */
static unsigned long long announced(const struct request *request)
{
    const char *length = lookup(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length != NULL ? strtoull(length, NULL, 10) : 0;
}

struct refusal body_check_head(const struct request *request)
{
    const char *type = lookup(request, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *coding = lookup(request, MHD_HTTP_HEADER_CONTENT_ENCODING);
    if (type != NULL && !is_word(type, "application/json"))
        return unsupported("Content-Type must be application/json", "Content-Type");
    if (coding != NULL && !is_word(coding, "identity"))
        return unsupported("a body must not be compressed", "Content-Encoding");
    if (announced(request) > REQUEST_BODY_MAX)
        return too_large();
    return (struct refusal){0};
}

/* Who waits for 100 Continue has sent nothing yet. */
bool body_is_swallowed(const struct request *request)
{
    return lookup(request, MHD_HTTP_HEADER_EXPECT) == NULL &&
           announced(request) <= REQUEST_SWALLOW_MAX;
}

bool body_take(struct body *body, bool keep, const char *bytes, size_t len)
{
    bool is_whole = body->bytes.len == body->len; /* nothing was lost so far */
    body->len += len;
    if (keep && is_whole)
        buf_append(&body->bytes, bytes, len);
    if (body->bytes.err != ERR_OK)
        buf_fini(&body->bytes);
    return body->len <= REQUEST_SWALLOW_MAX;
}

struct refusal body_check_whole(const struct body *body)
{
    if (body->len > REQUEST_BODY_MAX)
        return too_large();
    if (body->bytes.len == body->len)
        return (struct refusal){0};
    return (struct refusal){
        .status = MHD_HTTP_SERVICE_UNAVAILABLE,
        .fault = {.code = FAULT_UNAVAILABLE, .message = "no memory can be had for the body now"},
        .headers = {{MHD_HTTP_HEADER_RETRY_AFTER, "5"}}};
}
