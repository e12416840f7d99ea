#include "handlers/get_rooms.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/bus/bus.h"
#include "handlers/api.h"
#include "handlers/control.h"
#include "handlers/gather.h"
#include "handlers/request.h"
#include "handlers/service.h"

enum { LIMIT_DIGITS_MAX = 9, PAGE_MAX = 2 * 1024 * 1024 };

/* The request's own until it is over. */
struct rooms_request {
    struct room_query query;
    struct gather gather;
};

static struct refusal invalid(const char *message, const char *field)
{
    return api_refuse(
        MHD_HTTP_BAD_REQUEST,
        (struct fault){.code = FAULT_INVALID_PAYLOAD, .message = message, .field = field});
}

static const char *argument(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static struct refusal read_limit(const struct request *request, unsigned *limit)
{
    const char *text = argument(request, "limit");
    *limit = ROOM_LIST_DEFAULT;
    if (text == NULL)
        return (struct refusal){0};
    size_t len = strlen(text);
    *limit = 0;
    for (size_t i = 0; i < len && len <= LIMIT_DIGITS_MAX; i++) {
        if (text[i] < '0' || text[i] > '9')
            return invalid("limit is a number from 1 to 1000", "limit");
        *limit = *limit * 10 + (unsigned)(text[i] - '0');
    }
    if (*limit < 1 || *limit > ROOM_LIST_MAX)
        return invalid("limit is a number from 1 to 1000", "limit");
    return (struct refusal){0};
}

/* A name or the beginning of one; `*len` 0 where there is none. */
static struct refusal read_name(const struct request *request, const char *name, char *out,
                                size_t *len)
{
    const char *text = argument(request, name);
    *len = 0;
    if (text == NULL)
        return (struct refusal){0};
    enum err err = request_decode(slice_str(text), out, ROOM_NAME_MAX, len);
    if (err == ERR_OK && utf8_is_valid(out, *len))
        return (struct refusal){0};
    return invalid("must be at most 128 bytes of UTF-8, percent-encoded", name);
}

static struct refusal read_query(const struct request *request, struct room_query *query)
{
    struct refusal refusal = read_limit(request, &query->limit);
    if (refusal.status == 0)
        refusal = read_name(request, "prefix", query->prefix, &query->prefix_len);
    if (refusal.status == 0)
        refusal = read_name(request, "cursor", query->after, &query->after_len);
    query->has_after = query->after_len != 0;
    return refusal;
}

static enum MHD_Result answer_page(struct request *request)
{
    struct rooms_request *rooms = request->rooms;
    struct gather *gather = &rooms->gather;
    bool alone = request->service->bus == NULL;
    struct buf body;
    buf_init(&body, PAGE_MAX);
    buf_append_char(&body, '{');
    room_list_append_page(&body, &gather->rooms, rooms->query.limit);
    buf_printf(&body, ",\"pods\":%zu,\"complete\":%s}", gather->answers + 1,
               alone || gather_is_complete(gather) ? "true" : "false");
    return reply_text(request->connection, MHD_HTTP_OK, "application/json", &body);
}

static struct refusal begin(struct request *request)
{
    struct rooms_request *rooms = mem_zalloc(sizeof *rooms);
    request->rooms = rooms;
    room_list_init(&rooms->gather.rooms);
    struct refusal refusal = read_query(request, &rooms->query);
    if (refusal.status == 0 &&
        room_list_add_own(&rooms->gather.rooms, request->service->hub, &rooms->query) != ERR_OK)
        refusal = api_refuse(MHD_HTTP_INTERNAL_SERVER_ERROR,
                             (struct fault){.code = FAULT_INTERNAL, .message = "out of memory"});
    return refusal;
}

enum MHD_Result get_rooms_answer(struct request *request)
{
    struct service *service = request->service;
    if (request->rooms != NULL)
        return answer_page(request);
    struct refusal refusal = begin(request);
    if (refusal.status != 0)
        return reply_refusal(request->connection, &refusal);
    if (service->bus == NULL || !bus_is_connected(service->bus))
        return answer_page(request);
    struct gather *gather = &request->rooms->gather;
    gather_start(control_gathers(service->control), gather, request->connection);
    control_ask_rooms(service->control, gather, &request->rooms->query);
    return MHD_YES;
}

void get_rooms_forget(struct request *request)
{
    if (request->rooms != NULL)
        room_list_fini(&request->rooms->gather.rooms);
    mem_free(request->rooms);
    request->rooms = NULL;
}
