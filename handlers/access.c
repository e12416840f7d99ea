#include "handlers/access.h"

#include <string.h>
#include <strings.h>

#include "handlers/api.h"
#include "handlers/request.h"
#include "handlers/service.h"

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

static struct refusal unauthorized(const char *message)
{
    return (struct refusal){.status = MHD_HTTP_UNAUTHORIZED,
                            .fault = {.code = FAULT_AUTH_FAILED, .message = message},
                            .headers = {{MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer"}}};
}

struct refusal access_check(struct request *request)
{
    struct buf scratch;
    struct refusal refusal = {0};
    buf_init(&scratch, HEADER_MAX);
    struct slice credentials =
        bearer(request_header(request, MHD_HTTP_HEADER_AUTHORIZATION, &scratch));
    if (credentials.ptr == NULL)
        refusal = unauthorized("this path needs Authorization: Bearer with the API key");
    else if (!api_key_matches(request->service->api, credentials, &request->credentials))
        refusal = unauthorized("the API key is not valid");
    buf_fini(&scratch);
    return refusal;
}
