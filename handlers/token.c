#include "handlers/token.h"

#include <strings.h>

#include "core/auth/auth.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "handlers/request.h"
#include "handlers/service.h"

enum { HEADER_MAX = 16384 /* no more than libmicrohttpd's pool holds */ };

/* RFC 9110 11.4: the scheme in any case, a space, the token. */
struct slice token_of_authorization(struct slice header)
{
    static const char scheme[] = "Bearer";
    size_t len = sizeof scheme - 1;
    if (header.ptr == NULL || header.len < len || strncasecmp(header.ptr, scheme, len) != 0 ||
        (header.len > len && header.ptr[len] != ' '))
        return SLICE_NONE;
    struct slice token = slice_skip(header, len);
    while (token.len != 0 && token.ptr[0] == ' ')
        token = slice_skip(token, 1);
    return token;
}

struct slice token_of_protocols(struct slice header)
{
    struct slice prefix = slice_str(TOKEN_PROTOCOL_PREFIX);
    while (header.len != 0) {
        struct slice entry = handshake_next_element(&header);
        if (slice_starts_with(entry, prefix))
            return slice_skip(entry, prefix.len);
    }
    return SLICE_NONE;
}

static enum MHD_Result take_first(void *arg, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct slice *token = arg;
    (void)kind;
    if (strcmp(name, "token") != 0)
        return MHD_YES;
    *token = slice_str(value != NULL ? value : "");
    return MHD_NO;
}

/* A query is percent-encoded; what cannot be decoded is a token that is not good. */
static struct slice token_of_query(const struct request *request, struct buf *scratch)
{
    struct slice encoded = SLICE_NONE;
    size_t len;
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, take_first, &encoded);
    if (encoded.ptr == NULL)
        return SLICE_NONE;
    buf_clear(scratch);
    if (buf_reserve(scratch, encoded.len + 1) != ERR_OK ||
        request_decode(encoded, scratch->ptr, encoded.len, &len) != ERR_OK)
        return slice_str("");
    return slice_of(scratch->ptr, len);
}

struct slice token_find(const struct request *request, struct buf *scratch)
{
    struct slice token = token_of_authorization(request_header(request, "Authorization", scratch));
    if (token.ptr == NULL)
        token = token_of_protocols(request_header(request, "Sec-WebSocket-Protocol", scratch));
    return token.ptr != NULL ? token : token_of_query(request, scratch);
}

static const struct fault no_token = {
    .code = FAULT_AUTH_FAILED, .message = "a token is needed", .field = "token"};

enum err token_check_text(struct service *service, struct slice token, const struct user *same,
                          struct user **out, struct fault *fault)
{
    enum err err = ERR_INVALID;
    *out = NULL;
    *fault = no_token;
    if (token.ptr != NULL)
        err = auth_check(service->auth, token, clock_wall_ms(), out, fault);
    if (err == ERR_OK && same != NULL && !slice_equals((*out)->id, same->id)) {
        user_release(*out);
        *out = NULL;
        fault->code = FAULT_AUTH_FAILED;
        fault->message = "the token is another user's";
        err = ERR_INVALID;
    }
    if (err == ERR_OK)
        return ERR_OK;
    atomic_fetch_add(&service->auth_failed_total, 1);
    log_info("auth:failed", log_user(same != NULL ? same->id : SLICE_NONE),
             log_str("reason", fault->message));
    return err;
}

struct refusal token_check(struct request *request)
{
    struct service *service = request->service;
    struct refusal refusal = {.headers = {{MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer"}}};
    struct buf scratch;
    if (service->auth == NULL || request->user != NULL)
        return (struct refusal){0};
    buf_init(&scratch, HEADER_MAX);
    enum err err = token_check_text(service, token_find(request, &scratch), NULL, &request->user,
                                    &refusal.fault);
    buf_fini(&scratch);
    if (err == ERR_OK)
        return (struct refusal){0};
    refusal.status = MHD_HTTP_UNAUTHORIZED;
    return refusal;
}
