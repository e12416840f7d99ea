/*
 * libmicrohttpd's own time-out is for inactivity: a peer that sends one byte a second would hold a
 * request for ever. So each connection stands in the list of what it is at, with the time since
 * when, and the main thread shuts down those that are late with a head or a body. When nearly all
 * connections are taken, those that are longest at what they do are shut down at once: whoever
 * means it has sent its request, or taken its answer, by then.
 */
#include "handlers/http.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/lock.h"
#include "core/base/mem.h"
#include "core/net/conn.h"
#include "core/ws/handshake.h"
#include "handlers/access.h"
#include "handlers/body.h"
#include "handlers/framing.h"
#include "handlers/get_presence.h"
#include "handlers/get_rooms.h"
#include "handlers/reply.h"
#include "handlers/request.h"
#include "handlers/routes.h"
#include "handlers/service.h"
#include "handlers/upgrade.h"

enum {
    CONNECTION_POOL_BYTES = 16 * 1024, /* takes a browser's head with an 8 kB cookie */
    INACTIVITY_S = 30,
    TICK_MS_MAX = 500,
    TICK_MS_MIN = 20,
    RESERVED_CONNECTIONS = 16, /* that many are kept free by shutting the oldest down */
};

/* What a connection is at. */
enum phase {
    PHASE_HEAD, /* the next request's head is due */
    PHASE_BODY, /* its body is */
    PHASE_ANSWER,
    PHASES,
};

struct http {
    struct http_opts opts;
    struct MHD_Daemon *daemon;
    unsigned port;

    struct lock lock;
    struct list phases[PHASES] GUARDED_BY(lock); /* struct http_conn, oldest first */
    unsigned connections GUARDED_BY(lock);
};

/* A TCP connection of libmicrohttpd. */
struct http_conn {
    struct list_link link; /* in the list of its phase */
    uint64_t since_ms;     /* when it came to that list */
    int fd;                /* -1 once the socket was taken away */
};

/* --- the deadline --- */

/* shutdown() only marks the socket, so it may be called under the lock; and under the lock the
 * descriptor cannot be closed, for its removal from the list comes before that. */
static void shut_down_locked(struct http_conn *conn)
{
    list_remove(&conn->link);
    shutdown(conn->fd, SHUT_RDWR);
}

/* The same with a reset: what such a peer did not take must not stay in the kernel. */
static void throw_out_locked(struct http_conn *conn)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    shut_down_locked(conn);
}

static void enter_locked(struct list *list, struct http_conn *conn)
{
    if (conn->fd == -1)
        return; /* taken away: its socket is a client's now */
    conn->since_ms = clock_monotonic_ms();
    list_move_back(list, &conn->link);
}

static struct http_conn *first_of(const struct list *list)
{
    struct list_link *link = list_first(list);
    return link != NULL ? LIST_ENTRY(link, struct http_conn, link) : NULL;
}

/* Who is longest at what it does, whatever that is. */
static struct http_conn *oldest_locked(const struct http *http) REQUIRES(http->lock)
{
    struct http_conn *oldest = NULL;
    for (int phase = 0; phase < PHASES; phase++) {
        struct http_conn *conn = first_of(&http->phases[phase]);
        if (conn != NULL && (oldest == NULL || conn->since_ms < oldest->since_ms))
            oldest = conn;
    }
    return oldest;
}

static void shut_down_late_locked(struct http *http, enum phase phase, uint64_t now_ms)
    REQUIRES(http->lock)
{
    for (struct http_conn *conn; (conn = first_of(&http->phases[phase])) != NULL;) {
        if (conn->since_ms + http->opts.header_timeout_ms > now_ms)
            break;
        shut_down_locked(conn);
    }
}

int http_tick(struct http *http)
{
    uint64_t now_ms = clock_monotonic_ms();
    lock_acquire(&http->lock);
    shut_down_late_locked(http, PHASE_HEAD, now_ms);
    shut_down_late_locked(http, PHASE_BODY, now_ms);
    lock_release(&http->lock);
    uint64_t tick_ms = http->opts.header_timeout_ms / 8;
    if (tick_ms > TICK_MS_MAX)
        return TICK_MS_MAX;
    return tick_ms < TICK_MS_MIN ? TICK_MS_MIN : (int)tick_ms;
}

static struct http_conn *conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static void begin_phase(struct http *http, struct MHD_Connection *connection, enum phase phase)
{
    struct http_conn *conn = conn_of(connection);
    if (conn == NULL)
        return;
    lock_acquire(&http->lock);
    enter_locked(&http->phases[phase], conn);
    lock_release(&http->lock);
}

void http_release_socket(struct http *http, struct MHD_Connection *connection)
{
    struct http_conn *conn = conn_of(connection);
    if (conn == NULL)
        return;
    lock_acquire(&http->lock);
    list_remove(&conn->link);
    conn->fd = -1;
    lock_release(&http->lock);
}

static void begin_connection(struct http *http, struct MHD_Connection *connection, void **context)
{
    struct http_conn *conn = mem_zalloc(sizeof *conn);
    conn->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    *context = conn;
    lock_acquire(&http->lock);
    http->connections++;
    struct http_conn *oldest = oldest_locked(http);
    if (oldest != NULL && http->connections + RESERVED_CONNECTIONS > http->opts.connections_max)
        throw_out_locked(oldest);
    enter_locked(&http->phases[PHASE_HEAD], conn);
    lock_release(&http->lock);
}

static void end_connection(struct http *http, void **context)
{
    struct http_conn *conn = *context;
    if (conn == NULL)
        return;
    lock_acquire(&http->lock);
    http->connections--;
    list_remove(&conn->link);
    lock_release(&http->lock);
    mem_free(conn);
    *context = NULL;
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        begin_connection(arg, connection, context);
    else
        end_connection(arg, context);
}

/* --- requests --- */

static struct refusal refuse_route(const struct route_match *match)
{
    if (match->methods == 0)
        return (struct refusal){.status = MHD_HTTP_NOT_FOUND,
                                .fault = {.code = FAULT_NOT_FOUND, .message = "no such path"}};
    return (struct refusal){.status = MHD_HTTP_METHOD_NOT_ALLOWED,
                            .fault = {.code = FAULT_METHOD_NOT_ALLOWED,
                                      .message = "this path does not take this method"},
                            .headers = {{MHD_HTTP_HEADER_ALLOW, routes_allow(match->methods)}}};
}

/* All that can be said by the request's head. */
static struct refusal check_head(const struct http *http, struct request *request)
{
    struct route_match match;
    bool with_api = access_is_configured(request->service);
    http->opts.find_route(request->path, request->method, with_api, &match);
    request->route = match.route;
    request->rest = match.rest;
    if (match.route == NULL)
        return refuse_route(&match);
    struct refusal refusal = {0};
    if (match.route->access == ROUTE_API)
        refusal = access_check(request);
    if (refusal.status == 0 && match.route->method == ROUTE_POST)
        refusal = body_check_head(request);
    return refusal;
}

static bool wants_body(const struct request *request)
{
    return request_has_body(request) && request->route != NULL &&
           request->route->method == ROUTE_POST &&
           (request->refusal.status == 0 || body_is_swallowed(request));
}

static enum MHD_Result answer(struct request *request)
{
    if (request->refusal.status == 0)
        request->refusal = body_check_whole(&request->body);
    if (request->refusal.status != 0)
        return reply_refusal(request->connection, &request->refusal);
    return request->route->answer(request);
}

/* The head is here. */
static enum MHD_Result begin_request(struct http *http, struct request *request)
{
    request->refusal = framing_check(request->connection, request->version);
    if (request->refusal.status == 0)
        request->refusal = check_head(http, request);
    bool with_body = wants_body(request);
    begin_phase(http, request->connection, with_body ? PHASE_BODY : PHASE_ANSWER);
    /* A body that is not wanted is not waited for, and the connection ends with the answer. Without
     * one the answer comes with the next call. */
    return request_has_body(request) && !with_body ? answer(request) : MHD_YES;
}

/* libmicrohttpd gives the parameters. NOLINTNEXTLINE(readability-function-size) */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **context)
{
    struct http *http = arg;
    struct request *request = *context;
    if (request == NULL) {
        request = mem_zalloc(sizeof *request);
        *request = (struct request){.service = http->opts.service,
                                    .http = http,
                                    .connection = connection,
                                    .socket = -1,
                                    .path = request_path_of(url),
                                    .method = method,
                                    .version = version};
        body_init(&request->body);
        *context = request;
        return begin_request(http, request);
    }
    if (*upload_len != 0) {
        size_t len = *upload_len;
        *upload_len = 0;
        bool keep = request->refusal.status == 0;
        return body_take(&request->body, keep, upload, len) ? MHD_YES : MHD_NO;
    }
    if (request->body.len != 0)
        begin_phase(http, connection, PHASE_ANSWER);
    return answer(request);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct http *http = arg;
    struct request *request = *context;
    (void)code;
    if (request == NULL)
        return;
    *context = NULL;
    upgrade_forget(request);
    get_rooms_forget(request);
    get_presence_forget(request);
    body_fini(&request->body);
    mem_free(request);
    /* The next request's head has as long as the first one's. */
    begin_phase(http, connection, PHASE_HEAD);
}

/* Paths and queries are decoded where they are used: a slash that came encoded is no separator. */
static size_t leave_encoded(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

/* --- start and stop --- */

static int open_listener(const struct addrinfo *address)
{
    int one = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    /* For all its connections: or the kernel would keep 4 MB for each that takes no answer, and 6
     * MB of what a flood brings, to be worked off long after the flood. */
    conn_bound_buffers(fd);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int failed = errno;
    close(fd);
    errno = failed;
    return -1;
}

static int listen_on(const char *host, unsigned port, const char **why)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    int result = getaddrinfo(host, service, &hints, &addresses);
    if (result != 0) {
        *why = gai_strerror(result);
        return -1;
    }
    int fd = open_listener(addresses);
    if (fd == -1)
        *why = strerror(errno);
    freeaddrinfo(addresses);
    return fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char service[8];
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0 ||
        getnameinfo((struct sockaddr *)&address, len, NULL, 0, service, sizeof service,
                    NI_NUMERICSERV) != 0)
        return 0;
    return (unsigned)strtoul(service, NULL, 10);
}

enum err http_create(const struct http_opts *opts, struct http **out, const char **why)
{
    *out = NULL;
    int fd = listen_on(opts->host, opts->port, why);
    if (fd == -1)
        return ERR_SYSTEM;
    struct http *http = mem_zalloc(sizeof *http);
    http->opts = *opts;
    http->port = port_of(fd);
    lock_init(&http->lock);
    for (int phase = 0; phase < PHASES; phase++)
        list_init(&http->phases[phase]);
    handshake_prepare();
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME,
        0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        opts->connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_POOL_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)INACTIVITY_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, http, MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL, MHD_OPTION_END);
    if (http->daemon == NULL) {
        *why = "libmicrohttpd did not start";
        close(fd);
        http_destroy(http);
        return ERR_SYSTEM;
    }
    *out = http;
    return ERR_OK;
}

unsigned http_port(const struct http *http)
{
    return http->port;
}

void http_destroy(struct http *http)
{
    if (http == NULL)
        return;
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon);
    lock_fini(&http->lock);
    mem_free(http);
}
