/*
 * libmicrohttpd keeps its pool and a list entry for every connection that stays with it after an
 * upgrade. So the socket is duplicated and the original closed right in the upgrade handler;
 * without TLS there is no shutdown() on that way, and nothing of the connection is left there. The
 * duplicate is made before the 101 is promised: with no descriptor left, the answer is a 503.
 */
#include "handlers/upgrade.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/auth/user.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/limit/address.h"
#include "core/ws/handshake.h"
#include "handlers/http.h"
#include "handlers/limits.h"
#include "handlers/named_room.h"
#include "handlers/origin.h"
#include "handlers/reply.h"
#include "handlers/request.h"
#include "handlers/rights.h"
#include "handlers/room_refused.h"
#include "handlers/service.h"
#include "handlers/token.h"

enum { HEADER_MAX = 16384 }; /* no more than libmicrohttpd's pool holds */

/* --- the handshake --- */

static struct refusal refuse_handshake(enum handshake_result result)
{
    static const struct refusal refusals[] = {
        [HANDSHAKE_NOT_AN_UPGRADE] = {.status = MHD_HTTP_UPGRADE_REQUIRED,
                                      .fault = {.code = FAULT_UPGRADE_REQUIRED,
                                                .message = "this is a WebSocket endpoint"},
                                      .headers = {{MHD_HTTP_HEADER_UPGRADE, "websocket"},
                                                  {MHD_HTTP_HEADER_CONNECTION, "Upgrade"}}},
        [HANDSHAKE_BAD_VERSION] = {.status = MHD_HTTP_UPGRADE_REQUIRED,
                                   .fault = {.code = FAULT_UPGRADE_REQUIRED,
                                             .message = "Sec-WebSocket-Version must be 13",
                                             .field = "Sec-WebSocket-Version"},
                                   .headers = {{MHD_HTTP_HEADER_UPGRADE, "websocket"},
                                               {"Sec-WebSocket-Version", "13"}}},
        [HANDSHAKE_BAD_KEY] = {.status = MHD_HTTP_BAD_REQUEST,
                               .fault = {.code = FAULT_INVALID_PAYLOAD,
                                         .message = "Sec-WebSocket-Key must be 16 bytes in base64",
                                         .field = "Sec-WebSocket-Key"}},
    };
    return refusals[result];
}

static struct refusal check_handshake(const struct request *request)
{
    static const char *const names[] = {"Upgrade", "Connection", "Sec-WebSocket-Version",
                                        "Sec-WebSocket-Key"};
    struct handshake_request handshake;
    struct slice *values[] = {&handshake.upgrade, &handshake.connection, &handshake.version,
                              &handshake.key};
    struct buf scratch[4];
    for (size_t i = 0; i < 4; i++) {
        buf_init(&scratch[i], HEADER_MAX);
        *values[i] = request_header(request, names[i], &scratch[i]);
    }
    enum handshake_result result = handshake_check(&handshake);
    /* An upgrade is a GET in HTTP/1.1 (RFC 6455 4.1); HEAD is told so without one. */
    if (strcmp(request->version, "HTTP/1.1") != 0 || strcmp(request->method, "GET") != 0)
        result = HANDSHAKE_NOT_AN_UPGRADE;
    for (size_t i = 0; i < 4; i++)
        buf_fini(&scratch[i]);
    return result != HANDSHAKE_OK ? refuse_handshake(result) : (struct refusal){0};
}

static struct refusal check_origin(const struct request *request)
{
    struct buf scratch;
    struct refusal refusal = {0};
    buf_init(&scratch, HEADER_MAX);
    struct slice origin = request_header(request, "Origin", &scratch);
    bool is_allowed =
        origin.ptr == NULL || origin_is_allowed(request->service->allowed_origins, origin);
    /* An origin that cannot be read is not no origin. */
    if (!is_allowed || scratch.err != ERR_OK)
        refusal = (struct refusal){.status = MHD_HTTP_FORBIDDEN,
                                   .fault = {.code = FAULT_AUTH_FAILED,
                                             .message = "this origin is not allowed",
                                             .field = "Origin"}};
    buf_fini(&scratch);
    return refusal;
}

static struct refusal check_room(const struct request *request, struct named_room *room)
{
    struct fault fault = named_room_find(request, room);
    if (fault.code == FAULT_NONE)
        return (struct refusal){0};
    return (struct refusal){.status = MHD_HTTP_BAD_REQUEST, .fault = fault};
}

static struct refusal check_body(const struct request *request)
{
    if (!request_has_body(request))
        return (struct refusal){0};
    return (struct refusal){
        .status = MHD_HTTP_BAD_REQUEST,
        .fault = {.code = FAULT_INVALID_PAYLOAD, .message = "an upgrade request has no body"},
        .headers = {{MHD_HTTP_HEADER_CONNECTION, "close"}}};
}

static struct refusal unavailable(const char *message)
{
    return (struct refusal){.status = MHD_HTTP_SERVICE_UNAVAILABLE,
                            .fault = {.code = FAULT_UNAVAILABLE, .message = message},
                            .headers = {{MHD_HTTP_HEADER_RETRY_AFTER, "5"}}};
}

/* Whether the client asks for what the service itself says. */
static bool wants_events(const struct request *request)
{
    struct buf scratch;
    buf_init(&scratch, HEADER_MAX);
    struct slice offered = request_header(request, "Sec-WebSocket-Protocol", &scratch);
    bool wanted = offered.ptr != NULL && handshake_has_protocol(offered, EVENTS_PROTOCOL);
    buf_fini(&scratch);
    return wanted;
}

static struct refusal check_rights(const struct request *request, const struct named_room *room)
{
    const struct user *user = request->user;
    struct slice id = user != NULL ? user->id : SLICE_NONE;
    struct fault fault = {.code = FAULT_NONE};
    if (room->name.ptr != NULL)
        fault = rights_check_join(room->name, user, id, request->events);
    return (struct refusal){.status = fault.code != FAULT_NONE ? MHD_HTTP_FORBIDDEN : 0,
                            .fault = fault};
}

/* Where the request came from; NULL when that is not known. */
static const struct address *find_address(const struct request *request, struct address *out)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct buf scratch;
    if (info == NULL || !address_of_socket(info->client_addr, out))
        return NULL;
    buf_init(&scratch, HEADER_MAX);
    *out = address_behind(out, request_header(request, "X-Forwarded-For", &scratch),
                          request->service->trusted_proxies);
    buf_fini(&scratch);
    return out;
}

/* By its user, by its address where there is none: a connection is its own user only later. */
static struct slice connects_key(const struct request *request, char out[LIMITER_KEY_MAX])
{
    struct address address;
    if (request->user != NULL)
        return limits_key(request->user->id, NULL, out);
    return limits_key(SLICE_NONE, find_address(request, &address), out);
}

/* The last check: what is refused for another reason does not count. */
static struct refusal check_connects(const struct request *request)
{
    struct limits *limits = request->service->limits;
    struct refusal refusal = {.status = 0};
    struct limits_answer answer;
    char key[LIMITER_KEY_MAX];
    if (limits != NULL && !limits_take(limits, LIMITS_CONNECTS, connects_key(request, key),
                                       clock_monotonic_ns(), &answer))
        refusal = (struct refusal){.status = MHD_HTTP_TOO_MANY_REQUESTS, .limited = answer.refused};
    return refusal;
}

/* Who was not let in where. What is no upgrade, or has no good token, concerns no user. */
static void log_refusal(const struct request *request, const struct named_room *room,
                        const struct refusal *refusal)
{
    if (refusal->status == MHD_HTTP_FORBIDDEN || refusal->status == MHD_HTTP_TOO_MANY_REQUESTS ||
        refusal->status == MHD_HTTP_SERVICE_UNAVAILABLE)
        log_info("client:refused", log_user(request->user != NULL ? request->user->id : SLICE_NONE),
                 log_room(room->name), log_uint("status", refusal->status),
                 log_str("class", refusal->limited.class),
                 log_str("reason", refusal->fault.message));
}

static struct refusal check_all(struct request *request, struct named_room *room)
{
    *room = (struct named_room){.name = SLICE_NONE};
    struct refusal refusal = check_body(request);
    if (refusal.status == 0)
        refusal = check_handshake(request);
    if (refusal.status == 0)
        refusal = check_room(request, room);
    if (refusal.status == 0)
        refusal = check_origin(request);
    request->events = refusal.status == 0 && wants_events(request);
    if (refusal.status == 0)
        refusal = token_check(request);
    if (refusal.status == 0)
        refusal = check_rights(request, room);
    if (refusal.status == 0 && atomic_load(&request->service->draining))
        refusal = unavailable("the server is shutting down");
    if (refusal.status == 0)
        refusal = check_connects(request);
    return refusal;
}

/* --- the 101 --- */

/* libmicrohttpd gives the parameters. NOLINTNEXTLINE(readability-function-size) */
static void on_upgraded(void *arg, struct MHD_Connection *connection, void *connection_context,
                        const char *extra, size_t extra_len, MHD_socket fd,
                        struct MHD_UpgradeResponseHandle *handle)
{
    struct request *request = connection_context;
    struct client *client = request->client;
    (void)arg;
    (void)fd;
    http_release_socket(request->http, connection);
    client_attach(client, request->socket, slice_of(extra, extra_len));
    request->client = NULL;
    request->socket = -1;
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}

static void negotiate(struct request *request, struct deflate_params *deflate)
{
    struct buf scratch;
    *deflate = (struct deflate_params){0};
    request->extensions[0] = '\0';
    if (!request->service->compression)
        return;
    buf_init(&scratch, HEADER_MAX);
    struct slice offers = request_header(request, "Sec-WebSocket-Extensions", &scratch);
    if (offers.ptr != NULL)
        handshake_negotiate_deflate(offers, deflate, request->extensions);
    buf_fini(&scratch);
}

static enum MHD_Result answer_101(struct request *request)
{
    char accept[HANDSHAKE_ACCEPT_SIZE];
    const char *key =
        MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Sec-WebSocket-Key");
    struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgraded, NULL);
    if (response == NULL)
        return MHD_NO;
    handshake_accept(slice_str(key), accept);
    MHD_add_response_header(response, MHD_HTTP_HEADER_UPGRADE, "websocket");
    MHD_add_response_header(response, "Sec-WebSocket-Accept", accept);
    if (request->events)
        MHD_add_response_header(response, "Sec-WebSocket-Protocol", EVENTS_PROTOCOL);
    if (request->extensions[0] != '\0')
        MHD_add_response_header(response, "Sec-WebSocket-Extensions", request->extensions);
    enum MHD_Result result =
        MHD_queue_response(request->connection, MHD_HTTP_SWITCHING_PROTOCOLS, response);
    MHD_destroy_response(response);
    return result;
}

/* --- admission --- */

static void on_subscribed(struct bus_waiter *waiter)
{
    const struct request_wait *wait = LIST_ENTRY(waiter, struct request_wait, waiter);
    struct request *request = wait->request;
    if (atomic_fetch_sub(&request->awaiting, 1) == 1)
        MHD_resume_connection(request->connection);
}

/* Takes the count of the room, which may be NULL. */
static void add_wait(struct request *request, struct room *room)
{
    if (room == NULL || atomic_load(&room->subscribed)) {
        room_release(room);
        return;
    }
    request->waits[request->waits_count++] = (struct request_wait){
        .waiter = {.room = room->name, .done = on_subscribed}, .request = request, .room = room};
}

/* The answer waits until Redis knows that this pod wants the rooms that the client is in from the
 * start: who is told that it is connected gets everything from then on. */
static bool must_await(struct request *request)
{
    char bytes[ROOM_NAME_MAX];
    const struct client *client = request->client;
    struct room *home = client_home(client);
    struct service *service = request->service;
    if (service->bus == NULL || !bus_is_connected(service->bus))
        return false;
    add_wait(request, home != NULL ? room_retain(home) : NULL);
    if (request->user != NULL || request->events)
        add_wait(request,
                 hub_find_room(service->hub, room_users_name(client_user_id(client), bytes)));
    return request->waits_count != 0;
}

static void await_all(struct request *request)
{
    unsigned count = request->waits_count;
    request->awaited = true;
    atomic_store(&request->awaiting, count);
    MHD_suspend_connection(request->connection);
    for (unsigned i = 0; i < count; i++)
        bus_await(request->service->bus, &request->waits[i].waiter);
}

/* The first of the rooms waited for that Redis refuses; ptr NULL: none. */
static struct slice find_refused(const struct request *request)
{
    for (unsigned i = 0; i < request->waits_count; i++)
        if (request->waits[i].waiter.refused)
            return request->waits[i].waiter.room;
    return SLICE_NONE;
}

/* Who is refused was a member until now, and leaves when the request is forgotten. */
static enum MHD_Result answer_awaited(struct request *request)
{
    const struct named_room room = {.name = find_refused(request)};
    if (room.name.ptr == NULL)
        return answer_101(request);
    const struct refusal refusal = {.status = MHD_HTTP_FORBIDDEN, .fault = room_refused_fault};
    log_refusal(request, &room, &refusal);
    return reply_refusal(request->connection, &refusal);
}

static enum err take_socket(struct request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    request->socket = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0);
    return request->socket != -1 ? ERR_OK : ERR_SYSTEM;
}

static enum MHD_Result admit(struct request *request, const struct named_room *room)
{
    struct deflate_params deflate;
    negotiate(request, &deflate);
    const struct hub_admission admission = {
        .room = room->name, .deflate = &deflate, .events = request->events, .user = request->user};
    enum err err = hub_admit(request->service->hub, &admission, &request->client);
    if (err == ERR_OK)
        err = take_socket(request);
    if (err != ERR_OK) {
        struct refusal refusal =
            unavailable(err == ERR_FULL ? "all places are taken" : "no place can be had now");
        log_refusal(request, room, &refusal);
        return reply_refusal(request->connection, &refusal);
    }
    if (!must_await(request))
        return answer_101(request);
    await_all(request);
    return MHD_YES;
}

enum MHD_Result upgrade_answer(struct request *request)
{
    struct named_room room;
    if (request->awaited)
        return answer_awaited(request);
    struct refusal refusal = check_all(request, &room);
    if (refusal.status != 0) {
        log_refusal(request, &room, &refusal);
        return reply_refusal(request->connection, &refusal);
    }
    return admit(request, &room);
}

void upgrade_forget(struct request *request)
{
    if (request->client != NULL)
        client_abandon(request->client);
    if (request->socket != -1)
        close(request->socket);
    while (request->waits_count != 0)
        room_release(request->waits[--request->waits_count].room);
    user_release(request->user);
    request->user = NULL;
    request->client = NULL;
    request->socket = -1;
}
