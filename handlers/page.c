#include "handlers/page.h"

#include <strings.h>

#include "core/base/buf.h"
#include "handlers/reply.h"
#include "handlers/request.h"
#include "openapi/embed.h"

enum { HEADER_MAX = 8192 };

/* A word of a list such as `gzip;q=0.5`: is it this coding, and not refused by q=0? */
static bool accepts_word(struct slice word, const char *coding)
{
    while (word.len != 0 && (*word.ptr == ' ' || *word.ptr == '\t'))
        word = slice_skip(word, 1);
    const char *semicolon = memchr(word.ptr, ';', word.len);
    size_t name_len = semicolon != NULL ? (size_t)(semicolon - word.ptr) : word.len;
    while (name_len != 0 && (word.ptr[name_len - 1] == ' ' || word.ptr[name_len - 1] == '\t'))
        name_len--;
    if (name_len != strlen(coding) || strncasecmp(word.ptr, coding, name_len) != 0)
        return false;
    if (semicolon == NULL)
        return true;
    struct slice weight = slice_skip(word, (size_t)(semicolon - word.ptr) + 1);
    const char *equals = memchr(weight.ptr, '=', weight.len);
    if (equals == NULL)
        return true;
    /* 0, 0.0, 0.00 and 0.000 refuse (RFC 9110 12.4.2). */
    for (const char *p = equals + 1; p < weight.ptr + weight.len; p++)
        if (*p >= '1' && *p <= '9')
            return true;
    return false;
}

static bool accepts_gzip(const struct request *request)
{
    struct buf scratch;
    buf_init(&scratch, HEADER_MAX);
    struct slice list = request_header(request, MHD_HTTP_HEADER_ACCEPT_ENCODING, &scratch);
    bool accepted = false;
    while (list.len != 0 && !accepted) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma != NULL ? (size_t)(comma - list.ptr) : list.len;
        accepted = accepts_word(slice_of(list.ptr, len), "gzip");
        list = slice_skip(list, comma != NULL ? len + 1 : len);
    }
    buf_fini(&scratch);
    return accepted;
}

static bool has_tag(const struct request *request, const char *etag)
{
    const char *known = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_IF_NONE_MATCH);
    return known != NULL && (strstr(known, etag) != NULL || strcmp(known, "*") == 0);
}

static enum MHD_Result answer_asset(struct request *request, const struct asset *asset)
{
    /* A file that is carried compressed only goes out so to everybody: nobody without gzip can use
     * what it is for. */
    bool gzip = asset->plain == NULL || accepts_gzip(request);
    const char *etag = gzip ? asset->etag_gzip : asset->etag;
    bool unchanged = has_tag(request, etag);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        unchanged ? 0 : (gzip ? asset->gzip_len : asset->plain_len),
        (void *)(gzip ? asset->gzip : asset->plain), MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, asset->content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, etag);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Content-Security-Policy", REPLY_PAGE_POLICY);
    if (gzip)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    enum MHD_Result result = MHD_queue_response(
        request->connection, unchanged ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result page_answer(struct request *request)
{
    const struct asset *asset = embed_find(request->path);
    struct fault fault = {.code = FAULT_NOT_FOUND, .message = "there is no such file"};
    if (asset == NULL)
        return reply_fault(request->connection, MHD_HTTP_NOT_FOUND, &fault, NULL);
    return answer_asset(request, asset);
}
