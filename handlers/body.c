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
