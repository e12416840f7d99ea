#include "handlers/request.h"

#include <strings.h>

struct joining {
    const char *name;
    struct buf *out;
    const char *first; /* NULL: none yet */
    bool is_list;
};

static enum MHD_Result join(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct joining *joining = arg;
    (void)kind;
    if (strcasecmp(name, joining->name) != 0)
        return MHD_YES;
    if (value == NULL)
        value = "";
    if (joining->first == NULL) {
        joining->first = value;
        return MHD_YES;
    }
    if (!joining->is_list)
        buf_append_str(joining->out, joining->first);
    buf_append_str(joining->out, ", ");
    buf_append_str(joining->out, value);
    joining->is_list = true;
    return MHD_YES;
}

struct slice request_header(const struct request *request, const char *name, struct buf *scratch)
{
    struct joining joining = {.name = name, .out = scratch};
    buf_clear(scratch);
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, join, &joining);
    if (joining.first == NULL || scratch->err != ERR_OK)
        return SLICE_NONE;
    /* libmicrohttpd leaves what stands behind a value with it. */
    return slice_trim(joining.is_list ? buf_slice(scratch) : slice_str(joining.first));
}

const char *request_path_of(const char *target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i]);
        if (strncasecmp(target, schemes[i], len) != 0)
            continue;
        const char *host = target + len;
        const char *path = strchr(host, '/');
        if (path == host || *host == '\0')
            return target; /* RFC 9110 4.2.1: an empty host is invalid */
        return path != NULL ? path : "/";
    }
    return target;
}

bool request_has_body(const struct request *request)
{
    const char *length = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *coding = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_TRANSFER_ENCODING);
    return coding != NULL || (length != NULL && strspn(length, "0 \t") != strlen(length));
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum err request_decode(struct slice encoded, char *out, size_t size, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < encoded.len; i++) {
        char c = encoded.ptr[i];
        if (c == '%') {
            bool whole = encoded.len - i > 2;
            int high = whole ? hex_digit(encoded.ptr[i + 1]) : -1;
            int low = whole ? hex_digit(encoded.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return ERR_INVALID;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (*len == size)
            return ERR_FULL;
        out[(*len)++] = c;
    }
    return ERR_OK;
}
