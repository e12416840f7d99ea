#include "handlers/framing.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "core/ws/extensions.h"

static struct fault bad(const char *message, const char *field)
{
    return (struct fault){.code = FAULT_INVALID_PAYLOAD, .message = message, .field = field};
}

/* RFC 9112 5.1: no blanks in front of the colon, above all; `Content-Length : 5` is none here, and
 * is one to others. */
static bool is_name(struct slice name)
{
    return name.len != 0 && extension_token_len(name) == name.len;
}

/* A line that goes on in the next one (RFC 9112 5.2): libmicrohttpd appends that one to the name,
 * which it moves elsewhere for it. */
static bool is_folded(struct slice name, const char *value)
{
    const char *between = name.ptr + name.len + 1;
    if ((uintptr_t)value < (uintptr_t)between)
        return true;
    while (between != value && (*between == ' ' || *between == '\t'))
        between++;
    return between != value;
}

/* The characters of RFC 3986's host and port. Empty it may be (RFC 9112 3.2). */
static bool is_host(const char *value)
{
    static const char others[] = "-._~!$&'()*+,;=:[]%";
    for (; *value != '\0'; value++) {
        char c = *value;
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && strchr(others, c) == NULL)
            return false;
    }
    return true;
}

/* Most differ in length, which costs less to find out. */
static inline bool is(struct slice name, const char *header)
{
    return name.len == strlen(header) && strncasecmp(name.ptr, header, name.len) == 0;
}

static struct fault look_at(struct framing *framing, struct slice name, const char *value)
{
    if (!is_name(name))
        return bad("a header's name must be a token", NULL);
    if (is_folded(name, value))
        return bad("a header must be one line", NULL);
    if (strchr(value, '\r') != NULL) /* RFC 9112 2.2: to some a lone CR ends a line */
        return bad("a header's value has no carriage return", NULL);
    if (is(name, MHD_HTTP_HEADER_HOST)) {
        framing->hosts++;
        if (!is_host(value))
            return bad("Host must be a host", "Host");
    }
    if (is(name, MHD_HTTP_HEADER_CONTENT_LENGTH))
        framing->lengths++;
    if (is(name, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
        framing->codings++;
        if (strcasecmp(value, "chunked") != 0)
            return bad("Transfer-Encoding must be chunked", "Transfer-Encoding");
    }
    return (struct fault){.code = FAULT_NONE};
}

void framing_look(struct framing *framing, const char *name, const char *value)
{
    if (framing->fault.code == FAULT_NONE)
        framing->fault = look_at(framing, slice_str(name), value);
}

struct fault framing_judge(const struct framing *framing, bool is_http_1_1)
{
    if (framing->fault.code != FAULT_NONE)
        return framing->fault;
    if (framing->hosts > 1)
        return bad("Host must come once", "Host");
    if (framing->lengths > 1)
        return bad("Content-Length must come once", "Content-Length");
    if (framing->codings > 1)
        return bad("Transfer-Encoding must come once", "Transfer-Encoding");
    if (framing->codings != 0 && framing->lengths != 0)
        return bad("Transfer-Encoding and Content-Length exclude each other", "Transfer-Encoding");
    if (framing->codings != 0 && !is_http_1_1)
        return bad("Transfer-Encoding is of HTTP/1.1", "Transfer-Encoding");
    return (struct fault){.code = FAULT_NONE};
}

static enum MHD_Result look(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    framing_look(arg, name, value);
    return MHD_YES;
}

struct refusal framing_check(struct MHD_Connection *connection, const char *version)
{
    struct framing framing = {.fault.code = FAULT_NONE};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, look, &framing);
    struct fault fault = framing_judge(&framing, strcmp(version, "HTTP/1.1") == 0);
    if (fault.code == FAULT_NONE)
        return (struct refusal){0};
    return (struct refusal){.status = MHD_HTTP_BAD_REQUEST,
                            .fault = fault,
                            .headers = {{MHD_HTTP_HEADER_CONNECTION, "close"}}};
}
