/*
 * Three fixed pieces of work with the service's own code in one process, to count instructions of
 * (check.sh): a busy machine changes every time that is measured, but not these counts.
 *
 *     cost fanout N      a client sends N messages to a room of 50
 *     cost handshake N   N clients come, one after the other, and end with RST
 *     cost bus N         N messages from another pod reach a room of 50
 *
 * Everything happens in lockstep: the next step begins when the last member has what the one before
 * brought, so that no two runs gather differently.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/chat/hub.h"
#include "core/chat/window.h"
#include "core/presence/presence.h"
#include "handlers/event_session.h"
#include "handlers/http.h"
#include "handlers/message.h"
#include "handlers/presence.h"
#include "handlers/routes.h"
#include "handlers/service.h"

enum {
    MEMBERS = 50,
    HEAD_MAX = 4096,
    FRAME_MAX = 4096,
    FRAME_HEADER = 4, /* of 126 to 65535 bytes */
    WAIT_MS = 60000,
    NEVER_MS = 1000000, /* nothing shall happen by the clock */
};

static const char request[] = "GET /ws/cost HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

struct bench {
    struct service service;
    struct http *http;
    struct message_inbox *inbox;
    struct presence_voice *voice;
    int members[MEMBERS];
    size_t frame_len; /* of every message; 0 before the first */
};

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* --- the service, put together as app/app.c does --- */

static void on_message(void *arg, struct client *client, enum ws_opcode opcode,
                       struct slice payload)
{
    struct bench *bench = arg;
    presence_on_activity(&bench->service, client);
    message_from_client(&bench->service, client, opcode, payload);
}

static void on_join(void *arg, struct client *client)
{
    struct bench *bench = arg;
    event_hello(&bench->service, client);
}

static void on_member(void *arg, struct client *client, struct slice room, bool joined)
{
    struct bench *bench = arg;
    presence_on_member(&bench->service, client, room, joined);
}

static bool start_presence(struct bench *bench)
{
    bench->voice = presence_voice_create(&bench->service);
    const struct presence_opts opts = {.pod_id = "cost",
                                       .grace_ms = NEVER_MS,
                                       .away_ms = NEVER_MS,
                                       .arg = bench->voice,
                                       .tell = presence_voice_tell,
                                       .watch = presence_voice_watch};
    return presence_create(&opts, &bench->service.presence) == ERR_OK;
}

static bool start_hub(struct bench *bench)
{
    const struct hub_opts opts = {
        .loops = 1,
        .max_clients = 1000,
        .queue_messages = 256,
        .queue_bytes = 4 << 20,
        .queues_bytes = 512 << 20,
        .midway_bytes = 256 << 20,
        .ping_interval_ms = NEVER_MS,
        .pong_timeout_ms = 2 * NEVER_MS,
        .message_timeout_ms = NEVER_MS,
        .close_timeout_ms = NEVER_MS,
        .compress_min_bytes = 1024,
        .limits = {.max_message_bytes = 65536, .max_fragments = 1024},
        .arg = bench,
        .on_message = on_message,
        .on_join = on_join,
        .on_member = on_member,
    };
    bench->service.window = window_create(65536);
    return hub_create(&opts, &bench->service.hub) == ERR_OK &&
           hub_start(bench->service.hub) == ERR_OK;
}

static void start(struct bench *bench)
{
    struct service *service = &bench->service;
    const struct http_opts opts = {.service = service,
                                   .find_route = routes_find,
                                   .host = "127.0.0.1",
                                   .header_timeout_ms = NEVER_MS,
                                   .connections_max = 1000};
    const char *why = NULL;
    log_open(LOG_WARN);
    service->pod_id = "cost";
    service->allowed_origins = "*";
    service->compression = true;
    service->max_rooms = 100;
    service->started_ms = clock_monotonic_ms();
    if (!start_presence(bench) || !start_hub(bench) ||
        presence_start(service->presence) != ERR_OK ||
        http_create(&opts, &bench->http, &why) != ERR_OK)
        fail(why != NULL ? why : "cost: start");
    bench->inbox = message_inbox_create(service);
}

static void stop(struct bench *bench)
{
    struct service *service = &bench->service;
    if (hub_drain(service->hub, clock_monotonic_ms() + WAIT_MS) != 0)
        fail("cost: clients are left");
    http_destroy(bench->http);
    presence_stop(service->presence);
    hub_stop(service->hub);
    hub_destroy(service->hub);
    presence_destroy(service->presence);
    presence_voice_destroy(bench->voice);
    message_inbox_destroy(bench->inbox);
    window_destroy(service->window);
}

/* --- clients --- */

static void send_whole(int fd, const void *bytes, size_t len)
{
    if (send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        fail("cost: send");
}

static void receive_whole(int fd, void *bytes, size_t len)
{
    if (recv(fd, bytes, len, MSG_WAITALL) != (ssize_t)len)
        fail("cost: recv");
}

static int join(const struct bench *bench)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((in_port_t)http_port(bench->http))};
    char head[HEAD_MAX];
    size_t len = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1 || connect(fd, (const struct sockaddr *)&to, sizeof to) == -1)
        fail("cost: connect");
    send_whole(fd, request, sizeof request - 1);
    while (memmem(head, len, "\r\n\r\n", 4) == NULL) {
        ssize_t got = recv(fd, head + len, sizeof head - len, 0);
        if (got <= 0)
            fail("cost: the answer to the upgrade");
        len += (size_t)got;
    }
    return fd;
}

static void reset(int fd)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

static void join_all(struct bench *bench)
{
    for (int i = 0; i < MEMBERS; i++)
        bench->members[i] = join(bench);
}

static void leave_all(const struct bench *bench)
{
    for (int i = 0; i < MEMBERS; i++)
        reset(bench->members[i]);
}

/* One call for each member, to weigh little beside what is counted: all messages are as long as the
 * first one. */
static void receive_everywhere(struct bench *bench)
{
    unsigned char frame[FRAME_MAX];
    for (int i = 0; i < MEMBERS; i++) {
        size_t known = bench->frame_len;
        receive_whole(bench->members[i], frame, known != 0 ? known : FRAME_HEADER);
        size_t len = (size_t)frame[2] << 8 | frame[3];
        if (frame[1] != 126 || len + FRAME_HEADER > sizeof frame ||
            (known != 0 && known != len + FRAME_HEADER))
            fail("cost: a frame of another length");
        if (known == 0)
            receive_whole(bench->members[i], frame, len);
        if (i == MEMBERS - 1)
            bench->frame_len = len + FRAME_HEADER;
    }
}

/* --- the work --- */

static void run_fanout(struct bench *bench, unsigned count)
{
    static const char text[] = "{\"data\":{\"text\":\"as long as what people say, about\"}}";
    const unsigned char header[6] = {0x81, 0x80 | (sizeof text - 1)}; /* the mask is zero */
    char frame[sizeof header + sizeof text - 1];
    memcpy(frame, header, sizeof header);
    memcpy(frame + sizeof header, text, sizeof text - 1);
    join_all(bench);
    for (unsigned i = 0; i < count; i++) {
        send_whole(bench->members[0], frame, sizeof frame);
        receive_everywhere(bench);
    }
    leave_all(bench);
}

static void run_handshakes(struct bench *bench, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        reset(join(bench));
}

static void run_bus(struct bench *bench, unsigned count)
{
    static const char payload[] =
        "{\"id\":\"01234567-89ab-7def-8123-456789abcdef\",\"type\":\"chat\",\"room\":\"cost\","
        "\"from\":\"01234567-89ab-7def-8123-456789abcdef\",\"data\":{\"text\":\"as long as what "
        "people say, about\"},\"timestamp\":\"2026-01-01T00:00:00.000Z\"}";
    join_all(bench);
    for (unsigned i = 0; i < count; i++) {
        message_from_bus(bench->inbox, slice_of("cost", 4), slice_of(payload, sizeof payload - 1),
                         true);
        receive_everywhere(bench);
    }
    leave_all(bench);
}

static const struct {
    const char *name;
    void (*run)(struct bench *bench, unsigned count);
} works[] = {{"fanout", run_fanout}, {"handshake", run_handshakes}, {"bus", run_bus}};

int main(int argc, char **argv)
{
    static struct bench bench;
    for (size_t i = 0; argc == 3 && i < sizeof works / sizeof *works; i++) {
        if (strcmp(works[i].name, argv[1]) != 0)
            continue;
        start(&bench);
        works[i].run(&bench, (unsigned)strtoul(argv[2], NULL, 10));
        stop(&bench);
        return 0;
    }
    fprintf(stderr, "usage: cost fanout|handshake|bus COUNT\n");
    return 2;
}
