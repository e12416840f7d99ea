/*
 * libmicrohttpd's own time-out is for inactivity: a peer that sends one byte a second would hold a
 * request for ever. So each connection stands in a list with the time by which its head must be
 * there, and the main thread shuts down those that are late. When nearly all connections are taken,
 * those that are longest at what they do are shut down at once: whoever means it has sent its head,
 * or taken its answer, by then.
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

struct http {
    struct http_opts opts;
    struct MHD_Daemon *daemon;
    unsigned port;

    struct lock lock;
    struct list waiting GUARDED_BY(lock);   /* struct http_conn whose head is due, oldest first */
    struct list answering GUARDED_BY(lock); /* those whose answer is not taken yet, oldest first */
    unsigned connections GUARDED_BY(lock);
};

/* A TCP connection of libmicrohttpd. */
struct http_conn {
    struct list_link link; /* in `waiting` or `answering` */
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

/* Who is longest at what it does, be it sending its head or taking its answer. */
static struct http_conn *oldest_locked(const struct http *http) REQUIRES(http->lock)
{
    struct http_conn *waiting = first_of(&http->waiting), *answering = first_of(&http->answering);
    if (waiting == NULL || answering == NULL)
        return waiting != NULL ? waiting : answering;
    return waiting->since_ms <= answering->since_ms ? waiting : answering;
}

int http_tick(struct http *http)
{
    uint64_t now_ms = clock_monotonic_ms();
    lock_acquire(&http->lock);
    for (struct http_conn *conn; (conn = first_of(&http->waiting)) != NULL;) {
        if (conn->since_ms + http->opts.header_timeout_ms > now_ms)
            break;
        shut_down_locked(conn);
    }
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

/* Its head is here. */
static void begin_answer(struct http *http, struct MHD_Connection *connection)
{
    struct http_conn *conn = conn_of(connection);
    if (conn == NULL)
        return;
    lock_acquire(&http->lock);
    enter_locked(&http->answering, conn);
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
    enter_locked(&http->waiting, conn);
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

static enum MHD_Result dispatch(const struct http *http, struct request *request)
{
    static const struct reply_header allow[] = {{MHD_HTTP_HEADER_ALLOW, "GET, HEAD"}, {NULL, NULL}};
    static const struct fault not_found = {.code = FAULT_NOT_FOUND, .message = "no such path"};
    static const struct fault not_allowed = {.code = FAULT_METHOD_NOT_ALLOWED,
                                             .message = "this path takes GET and HEAD"};
    const struct route *route = http->opts.find_route(request->path, &request->rest);
    if (route == NULL)
        return reply_fault(request->connection, MHD_HTTP_NOT_FOUND, &not_found, NULL);
    if (strcmp(request->method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(request->method, MHD_HTTP_METHOD_HEAD) != 0)
        return reply_fault(request->connection, MHD_HTTP_METHOD_NOT_ALLOWED, &not_allowed, allow);
    return route->answer(request);
}

/* libmicrohttpd gives the parameters. NOLINTNEXTLINE(readability-function-size) */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **context)
{
    struct http *http = arg;
    struct request *request = *context;
    (void)upload;
    if (request == NULL) {
        request = mem_zalloc(sizeof *request);
        *request = (struct request){.service = http->opts.service,
                                    .http = http,
                                    .connection = connection,
                                    .socket = -1,
                                    .path = url,
                                    .method = method,
                                    .version = version};
        *context = request;
        /* The head is here. A body is not waited for: no route takes one. */
        begin_answer(http, connection);
        return request_has_body(request) ? dispatch(http, request) : MHD_YES;
    }
    *upload_len = 0;
    return dispatch(http, request);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct http *http = arg;
    struct request *request = *context;
    struct http_conn *conn = conn_of(connection);
    (void)code;
    if (request == NULL)
        return;
    *context = NULL;
    upgrade_forget(request);
    mem_free(request);
    if (conn == NULL)
        return;
    /* The next request's head has as long as the first one's. */
    lock_acquire(&http->lock);
    enter_locked(&http->waiting, conn);
    lock_release(&http->lock);
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
    int one = 1, size = CONN_SEND_BUFFER;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    /* Its connections inherit this: or the kernel would keep 4 MB for each that takes no answer. */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
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
    list_init(&http->waiting);
    list_init(&http->answering);
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
