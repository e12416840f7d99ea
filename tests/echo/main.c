/*
 * ws-echo: the service's own connection layer with a handler that sends back what came, for
 * protocol test suites. Linked from the same archive as the service, on path `/`.
 *
 *     build/ws-echo --port 9001 --compression on --max-message 65536
 *     build/ws-echo --through-room      echoes by way of a room's fan-out, so that the shared
 * frames are tested; each client has a room of its own
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "app/signals.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/uuid.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/message.h"
#include "core/chat/shard.h"
#include "handlers/http.h"
#include "handlers/request.h"
#include "handlers/routes.h"
#include "handlers/service.h"
#include "handlers/upgrade.h"

enum { EXIT_USAGE = 2, DRAIN_MS = 5000, FILES_RESERVED = 512 };

struct options {
    unsigned port;
    bool compression;
    bool through_room;
    struct ws_limits limits;
};

struct echo {
    struct options options;
    struct service service;
};

static bool parse_number(const char *text, unsigned long max, unsigned long *out)
{
    char *end;
    *out = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && *out <= max;
}

static bool take_option(struct options *options, int option, const char *value)
{
    unsigned long number;
    switch (option) {
    case 'p':
        if (!parse_number(value, 65535, &number))
            return false;
        options->port = (unsigned)number;
        return true;
    case 'c':
        options->compression = strcmp(value, "on") == 0;
        return options->compression || strcmp(value, "off") == 0;
    case 'm':
        if (!parse_number(value, 1ul << 30, &number) || number == 0)
            return false;
        options->limits.max_message_bytes = number;
        return true;
    case 'f':
        if (!parse_number(value, 1ul << 30, &number) || number == 0)
            return false;
        options->limits.max_fragments = (unsigned)number;
        return true;
    case 'r':
        options->through_room = true;
        return true;
    default:
        return false;
    }
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"port", required_argument, NULL, 'p'},
                                          {"compression", required_argument, NULL, 'c'},
                                          {"max-message", required_argument, NULL, 'm'},
                                          {"max-fragments", required_argument, NULL, 'f'},
                                          {"through-room", no_argument, NULL, 'r'},
                                          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
        if (!take_option(options, option, optarg))
            return false;
    return optind == argc;
}

/* Publishes to the client's own room, whose only member it is. */
static void echo_through_room(struct echo *echo, struct client *client, enum ws_opcode opcode,
                              struct slice payload)
{
    struct shard *shard = client_shard(client);
    struct room *room = client_home(client);
    struct message *message = message_try_create(opcode, payload, clock_monotonic_ns());
    if (message == NULL)
        client_close(client, WS_CLOSE_INTERNAL, "out of memory");
    else
        hub_publish(echo->service.hub, room, message, &shard->compressor);
    message_release(message);
}

static void on_message(void *arg, struct client *client, enum ws_opcode opcode,
                       struct slice payload)
{
    struct echo *echo = arg;
    if (echo->options.through_room)
        echo_through_room(echo, client, opcode, payload);
    else
        client_send(client, opcode, payload);
}

/* `/` upgrades; through a room, into one with a name that nobody else has. */
static enum MHD_Result answer(struct request *request)
{
    char name[UUID_TEXT_LEN];
    uuid_make_v7(name);
    request->rest = slice_of(name, sizeof name);
    return upgrade_answer(request);
}

static void find_route(const char *path, const char *method, bool with_api,
                       struct route_match *match)
{
    static const struct route route = {ROUTE_GET, "/", answer, ROUTE_OPEN};
    (void)with_api;
    *match = (struct route_match){.rest = SLICE_NONE};
    if (strcmp(path, "/") != 0)
        return;
    match->methods = ROUTE_GET;
    if (strcmp(method, "GET") == 0)
        match->route = &route;
}

static size_t clients_max(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < 2 * FILES_RESERVED)
        return FILES_RESERVED;
    return files.rlim_cur - FILES_RESERVED;
}

static int serve(struct echo *echo)
{
    struct http *http;
    const char *why = NULL;
    const struct hub_opts hub_opts = {.loops = 2,
                                      .max_clients = clients_max(),
                                      .queue_messages = 1000000,
                                      .queue_bytes = (size_t)1 << 30,
                                      .queues_bytes = (size_t)8 << 30,
                                      .midway_bytes = (size_t)8 << 30,
                                      .ping_interval_ms = 25000,
                                      .pong_timeout_ms = 60000,
                                      .message_timeout_ms = 60000,
                                      .close_timeout_ms = 5000,
                                      .compress_min_bytes = 0,
                                      .limits = echo->options.limits,
                                      .arg = echo,
                                      .on_message = on_message};
    const struct http_opts http_opts = {.service = &echo->service,
                                        .find_route = find_route,
                                        .host = "127.0.0.1",
                                        .port = echo->options.port,
                                        .header_timeout_ms = 10000,
                                        .connections_max = FILES_RESERVED / 2};
    signals_prepare();
    if (hub_create(&hub_opts, &echo->service.hub) != ERR_OK ||
        hub_start(echo->service.hub) != ERR_OK || http_create(&http_opts, &http, &why) != ERR_OK) {
        fprintf(stderr, "ws-echo: %s\n", why != NULL ? why : "did not start");
        return EXIT_FAILURE;
    }
    log_info("server:listening", log_uint("port", http_port(http)));
    while (!signals_wait(http_tick(http)))
        continue;
    signals_end_at_next();
    atomic_store(&echo->service.draining, true);
    hub_drain(echo->service.hub, clock_monotonic_ms() + DRAIN_MS);
    http_destroy(http);
    hub_stop(echo->service.hub);
    hub_destroy(echo->service.hub);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct echo echo = {
        .options = {.port = 9001,
                    .compression = true,
                    .limits = {.max_message_bytes = 16 * 1024 * 1024, .max_fragments = 1024}},
        .service = {.pod_id = "ws-echo", .allowed_origins = "*"}};
    if (!parse_options(argc, argv, &echo.options)) {
        fprintf(stderr, "usage: ws-echo [--port N] [--compression on|off] [--max-message BYTES]\n"
                        "               [--max-fragments N] [--through-room]\n");
        return EXIT_USAGE;
    }
    echo.service.compression = echo.options.compression;
    log_open(LOG_INFO);
    return serve(&echo);
}
