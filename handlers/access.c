#include "handlers/access.h"

#include <string.h>
#include <strings.h>

#include "core/auth/user.h"
#include "handlers/api.h"
#include "handlers/request.h"
#include "handlers/service.h"
#include "handlers/token.h"

enum { HEADER_MAX = 16384 /* no more than libmicrohttpd's pool holds */ };

bool access_is_configured(const struct service *service)
{
    return service->api != NULL;
}

/* What stands behind `Bearer `; SLICE_NONE when the header is another. */
static struct slice bearer(struct slice header)
{
    static const char scheme[] = "Bearer ";
    if (header.ptr == NULL || header.len < sizeof scheme ||
        strncasecmp(header.ptr, scheme, sizeof scheme - 1) != 0)
        return SLICE_NONE;
    header = slice_skip(header, sizeof scheme - 1);
    while (header.len != 0 && *header.ptr == ' ')
        header = slice_skip(header, 1);
    return header;
}

bool access_has_key(struct request *request)
{
    const struct api *api = request->service->api;
    struct buf scratch;
    buf_init(&scratch, HEADER_MAX);
    struct slice credentials =
        bearer(request_header(request, MHD_HTTP_HEADER_AUTHORIZATION, &scratch));
    bool matches = api != NULL && credentials.ptr != NULL &&
                   api_key_matches(api, credentials, &request->credentials);
    buf_fini(&scratch);
    return matches;
}

bool access_has_scope(const struct user *user)
{
    return user_has_scope(user, USER_SCOPE_PUBLISH) || user_has_scope(user, USER_SCOPE_ADMIN);
}

static struct refusal check_token(struct request *request)
{
    struct refusal refusal = token_check(request);
    if (refusal.status != 0)
        return refusal;
    /* Tells users apart where requests are remembered. */
    request->credentials = digest_of(&request->user->id, 1);
    if (access_has_scope(request->user))
        return refusal;
    return (struct refusal){.status = MHD_HTTP_FORBIDDEN,
                            .fault = {.code = FAULT_AUTH_FAILED,
                                      .message = "the token's scope has neither publish nor admin",
                                      .field = "scope"}};
}

struct refusal access_check(struct request *request)
{
    if (access_has_key(request))
        return (struct refusal){0};
    if (request->service->auth != NULL)
        return check_token(request);
    return (struct refusal){
        .status = MHD_HTTP_UNAUTHORIZED,
        .fault = {.code = FAULT_AUTH_FAILED,
                  .message = "this path needs Authorization: Bearer with the API key"},
        .headers = {{MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer"}}};
}
