#include "handlers/get_presence.h"

#include <string.h>

#include "core/auth/user.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/presence/presence.h"
#include "handlers/access.h"
#include "handlers/api.h"
#include "handlers/request.h"
#include "handlers/rights.h"
#include "handlers/service.h"
#include "handlers/token.h"

enum {
    LISTED_MAX = 1000,
    BODY_MAX = LISTED_MAX * 2048, /* every byte of names and texts escaped fits */
};

/* The request's own until it is over. */
struct presence_request {
    struct presence_query query;
    struct MHD_Connection *connection;
    struct buf body;
};

/* On the presence thread. */
static void on_listed(struct presence_query *query, const struct presence_view *users,
                      size_t listed, size_t count)
{
    struct presence_request *asked = LIST_ENTRY(query, struct presence_request, query);
    struct buf *body = &asked->body;
    buf_append_str(body, "{\"room\":");
    json_append_string(body, slice_of(query->room, query->room_len));
    buf_printf(body, ",\"count\":%zu,\"users\":[", count);
    for (size_t i = 0; i < listed; i++) {
        if (i != 0)
            buf_append_char(body, ',');
        presence_append_user(body, &users[i]);
    }
    buf_append_str(body, "]}");
    MHD_resume_connection(asked->connection);
}

/* Whether the caller may see who is in the room: whoever may manage, or may join; with
 * authentication off everybody. */
static struct refusal check_rights(struct request *request, struct slice room)
{
    if (access_has_key(request))
        return (struct refusal){0};
    struct refusal refusal = token_check(request);
    const struct user *user = request->user;
    if (refusal.status != 0 || access_has_scope(user))
        return refusal;
    struct fault fault = rights_check_join(room, user, user != NULL ? user->id : SLICE_NONE, true);
    return fault.code != FAULT_NONE ? api_refuse(MHD_HTTP_FORBIDDEN, fault) : (struct refusal){0};
}

static void begin(struct request *request, struct slice room)
{
    struct presence_request *asked = mem_zalloc(sizeof *asked);
    asked->connection = request->connection;
    asked->query = (struct presence_query){
        .max = LISTED_MAX, .done = on_listed, .room_len = (unsigned)room.len};
    memcpy(asked->query.room, room.ptr, room.len);
    buf_init(&asked->body, BODY_MAX);
    request->presence = asked;
    MHD_suspend_connection(request->connection);
    presence_ask(request->service->presence, &asked->query);
}

enum MHD_Result get_presence_answer(struct request *request)
{
    char bytes[ROOM_NAME_MAX];
    struct slice room;
    if (request->presence != NULL)
        return reply_text(request->connection, MHD_HTTP_OK, "application/json",
                          &request->presence->body);
    struct refusal refusal = api_decode_room(request, bytes, &room);
    if (refusal.status == 0)
        refusal = check_rights(request, room);
    if (refusal.status != 0)
        return reply_refusal(request->connection, &refusal);
    begin(request, room);
    return MHD_YES;
}

void get_presence_forget(struct request *request)
{
    if (request->presence != NULL)
        buf_fini(&request->presence->body);
    mem_free(request->presence);
    request->presence = NULL;
}
