#include "handlers/event_auth.h"

#include <stdio.h>

#include "core/auth/user.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/chat/client.h"
#include "core/chat/json_read.h"
#include "core/chat/shard.h"
#include "core/presence/presence.h"
#include "handlers/event_room.h"
#include "handlers/events.h"
#include "handlers/rights.h"
#include "handlers/service.h"
#include "handlers/token.h"

enum {
    EXPIRY_MAX = 64,
    /* To check a signature costs up to 0.1 ms of the loop: who sends tokens is not read from for so
     * long after each. */
    REST_MS = 20,
};

static const char *format_expiry(const struct client *client, char time[CLOCK_RFC3339_SIZE])
{
    clock_format_rfc3339(client_user(client)->expires_ms, time);
    return time;
}

/* --- a new token --- */

static void take_token(void *arg, struct slice name, const struct json_value *value)
{
    struct buf *token = arg;
    if (!slice_equals_str(name, "token"))
        return;
    buf_clear(token);
    if (value->kind == JSON_IS_STRING)
        buf_append_slice(token, value->text);
}

/* False: there is none in `data`, and the client was told. */
static bool read_token(const struct event_call *call, struct buf *token)
{
    enum json_kind kind;
    struct slice data = call->envelope->data;
    /* How deep it may be was judged with the whole message. */
    if (data.ptr != NULL && json_read(data, UINT32_MAX, take_token, token, &kind) == JSON_OK &&
        token->err == ERR_OK && token->len != 0)
        return true;
    event_refuse_data(call, "data.token must be the new token", "data.token");
    return false;
}

static bool is_forbidden(const void *arg, struct slice room)
{
    const struct client *client = arg;
    return rights_check_join(room, client_user(client), client_user_id(client),
                             client_is_events(client))
               .code != FAULT_NONE;
}

/* Rooms that the new token does not allow. */
static void leave_forbidden(const struct event_call *call)
{
    const struct room *room;
    while ((room = client_find_room_that(call->client, is_forbidden, call->client)) != NULL)
        if (!event_room_put_out(call->service, call->client, room->name))
            return;
}

static void reply(const struct event_call *call)
{
    char members[EXPIRY_MAX], time[CLOCK_RFC3339_SIZE];
    int len = snprintf(members, sizeof members, ",\"expires_at\":\"%s\"",
                       format_expiry(call->client, time));
    event_reply(call, slice_of(members, (size_t)len));
}

static void carry_on(const struct event_call *call, struct user *user)
{
    struct client *client = call->client;
    if (client_set_user(client, user) != ERR_OK) {
        const struct fault fault = {.code = FAULT_INTERNAL, .message = "out of memory"};
        event_refuse(call, &fault);
        return;
    }
    presence_rename(call->service->presence, client_data(client), user->name);
    reply(call);
    leave_forbidden(call);
    log_info("auth:refreshed", log_user(user->id));
}

void event_auth_refresh(const struct event_call *call)
{
    struct service *service = call->service;
    struct fault fault = {.code = FAULT_AUTH_FAILED,
                          .message = "authentication is off: there is no token to renew",
                          .field = "token"};
    struct user *user = NULL;
    struct buf token;
    buf_init(&token, SIZE_MAX / 2);
    if (service->auth == NULL || client_user(call->client) == NULL) {
        event_refuse(call, &fault);
    } else if (read_token(call, &token)) {
        client_rest(call->client, REST_MS);
        if (token_check_text(service, buf_slice(&token), client_user(call->client), &user,
                             &fault) == ERR_OK)
            carry_on(call, user);
        else
            event_refuse(call, &fault);
    }
    user_release(user);
    buf_fini(&token);
}

/* --- the old one --- */

void event_auth_expiring(struct client *client)
{
    struct buf *json = &client_shard(client)->scratch;
    char time[CLOCK_RFC3339_SIZE];
    buf_clear(json);
    envelope_begin_server(json, ENVELOPE_SYSTEM, "auth:expiring", SLICE_NONE);
    buf_printf(json, "{\"expires_at\":\"%s\"}", format_expiry(client, time));
    envelope_end_server(json);
    if (json->err == ERR_OK)
        client_reply(client, buf_slice(json));
}
