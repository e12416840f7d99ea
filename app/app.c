#include "app/app.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "app/config.h"
#include "app/heap.h"
#include "app/signals.h"
#include "core/auth/auth.h"
#include "core/auth/key.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/bus/bus.h"
#include "core/chat/hub.h"
#include "core/chat/window.h"
#include "core/presence/presence.h"
#include "handlers/api.h"
#include "handlers/body.h"
#include "handlers/control.h"
#include "handlers/event_auth.h"
#include "handlers/event_session.h"
#include "handlers/http.h"
#include "handlers/limits.h"
#include "handlers/message.h"
#include "handlers/outage.h"
#include "handlers/presence.h"
#include "handlers/room_refused.h"
#include "handlers/routes.h"
#include "handlers/service.h"

enum {
    CLOSE_TIMEOUT_MS = 5000,
    FRAGMENTS_MAX = 1024,
    OUTBOX_BYTES_MAX = 128 * 1024 * 1024,
    COMPRESS_MIN_BYTES = 1024,
    /* Of SHUTDOWN_TIMEOUT, what is kept for leaving Redis and for ending the threads. */
    LEAVE_MS = 1000,
    /* Descriptors for the loops, Redis, the log, files that libraries open. */
    OTHER_FILES = 64,
    HTTP_CONNECTIONS_MIN = 32,
    HTTP_CONNECTIONS_MAX = 1024,
};

struct app {
    const struct config *config;
    struct service service;
    struct message_inbox *inbox;
    struct presence_voice *voice;
    struct http *http;
};

/* --- what joins the hub and the bus --- */

static void on_interest(void *arg)
{
    struct app *app = arg;
    /* NULL while the bus is being made: it takes all when it starts. */
    if (app->service.bus != NULL)
        bus_interest_changed(app->service.bus);
}

struct interest_relay {
    void (*each)(struct bus *bus, struct slice room, bool wanted);
    struct bus *bus;
};

static void relay_interest(void *arg, struct slice room, bool wanted)
{
    const struct interest_relay *relay = arg;
    relay->each(relay->bus, room, wanted);
}

static void take_interest(void *arg, void (*each)(struct bus *bus, struct slice room, bool wanted),
                          struct bus *bus)
{
    struct app *app = arg;
    struct interest_relay relay = {.each = each, .bus = bus};
    hub_take_interest(app->service.hub, relay_interest, &relay);
}

static void on_subscribed(void *arg, struct slice room)
{
    struct app *app = arg;
    hub_mark_subscribed(app->service.hub, room);
    presence_on_subscribed(app->service.presence, room);
}

static void on_refused(void *arg, struct slice room)
{
    struct app *app = arg;
    const struct publish_tools tools = message_inbox_tools(app->inbox);
    room_refused(&app->service, room, &tools);
}

static void on_commands(void *arg, bool taken)
{
    struct app *app = arg;
    presence_on_commands(app->service.presence, taken);
    if (app->service.limits != NULL)
        limits_on_commands(app->service.limits, taken);
}

static void on_member(void *arg, struct client *client, struct slice room, bool joined)
{
    struct app *app = arg;
    presence_on_member(&app->service, client, room, joined);
}

static void on_bus_message(void *arg, struct slice room, struct slice payload, bool trusted)
{
    struct app *app = arg;
    message_from_bus(app->inbox, room, payload, trusted);
}

static void on_control(void *arg, struct slice pod, struct slice payload)
{
    struct app *app = arg;
    control_from_bus(app->service.control, pod, payload);
}

static void on_reached(void *arg, uint64_t ask, size_t pods)
{
    struct app *app = arg;
    control_reached(app->service.control, ask, pods);
}

static void on_client_message(void *arg, struct client *client, enum ws_opcode opcode,
                              struct slice payload)
{
    struct app *app = arg;
    presence_on_activity(&app->service, client);
    message_from_client(&app->service, client, opcode, payload);
}

static void on_join(void *arg, struct client *client)
{
    struct app *app = arg;
    event_hello(&app->service, client);
}

static void on_expiring(void *arg, struct client *client)
{
    (void)arg;
    event_auth_expiring(client);
}

/* --- start --- */

static enum err start_hub(struct app *app)
{
    const struct config *config = app->config;
    app->service.window = window_create(config->message_window);
    if (app->service.window == NULL)
        return ERR_NOMEM;
    const struct hub_opts opts = {
        .loops = config->connection_threads,
        .max_clients = config->max_connections,
        .queue_messages = config->ws_send_queue,
        .queue_bytes = config->ws_send_queue_bytes,
        .queues_bytes = config->ws_send_total_bytes,
        .midway_bytes = config->ws_receive_total_bytes,
        .ping_interval_ms = config->ws_ping_interval_ms,
        .pong_timeout_ms = config->ws_pong_timeout_ms,
        .message_timeout_ms = config->ws_message_timeout_ms,
        .close_timeout_ms = CLOSE_TIMEOUT_MS,
        .io_uring = config->io_uring,
        .compress_min_bytes = COMPRESS_MIN_BYTES,
        .limits = {.max_message_bytes = config->ws_max_message_bytes,
                   .max_fragments = FRAGMENTS_MAX},
        .arg = app,
        .on_message = on_client_message,
        .on_join = on_join,
        .on_member = on_member,
        .on_expiring = on_expiring,
        .on_interest = config->redis_enabled ? on_interest : NULL,
    };
    enum err err = hub_create(&opts, &app->service.hub);
    return err == ERR_OK ? hub_start(app->service.hub) : err;
}

/* The largest message, of a client or of the HTTP API, and what its envelope adds. */
static size_t payload_max(const struct config *config)
{
    size_t largest = config->ws_max_message_bytes;
    if (largest < REQUEST_BODY_MAX)
        largest = REQUEST_BODY_MAX;
    return largest + 4096;
}

static enum err create_presence(struct app *app)
{
    const struct config *config = app->config;
    app->voice = presence_voice_create(&app->service);
    const struct presence_opts opts = {.pod_id = config->pod_id,
                                       .grace_ms = config->presence_grace_ms,
                                       .away_ms = config->presence_away_ms,
                                       .arg = app->voice,
                                       .tell = presence_voice_tell,
                                       .watch = presence_voice_watch};
    return presence_create(&opts, &app->service.presence);
}

/* Whom nobody may manage, and who shares no limits, has no need to. */
static bool listens_to_pods(const struct config *config)
{
    return config->api_key != NULL || config->auth_enabled || config->rate_limit_enabled;
}

static enum err start_bus(struct app *app)
{
    const struct config *config = app->config;
    app->service.control = control_create(&app->service);
    if (!config->redis_enabled)
        return ERR_OK;
    const struct bus_opts opts = {
        .url = &config->redis_url,
        .pod_id = config->pod_id,
        .outbox_max = config->redis_outbox,
        .outbox_max_bytes = OUTBOX_BYTES_MAX,
        .payload_max = payload_max(config),
        .arg = app,
        .on_message = on_bus_message,
        .take_interest = take_interest,
        .on_subscribed = on_subscribed,
        .on_refused = on_refused,
        .on_control = listens_to_pods(config) ? on_control : NULL,
        .on_reached = on_reached,
        .on_commands = on_commands,
    };
    app->inbox = message_inbox_create(&app->service);
    app->service.bus = bus_create(&opts);
    control_use_bus(app->service.control);
    presence_use_bus(app->service.presence, app->service.bus);
    if (app->service.limits != NULL)
        limits_use_bus(app->service.limits, app->service.bus, config->auth_enabled);
    return bus_start(app->service.bus);
}

/* What is left of the open files besides clients; config.c keeps that much free. */
static unsigned http_connections(const struct config *config)
{
    struct rlimit files;
    uint64_t reserved = OTHER_FILES + 4 * (uint64_t)config->connection_threads;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 ||
        files.rlim_cur < config->max_connections + reserved + HTTP_CONNECTIONS_MIN)
        return HTTP_CONNECTIONS_MIN;
    uint64_t left = files.rlim_cur - config->max_connections - reserved;
    return left < HTTP_CONNECTIONS_MAX ? (unsigned)left : HTTP_CONNECTIONS_MAX;
}

/* A short secret is the operator's choice, and is said, without a word about what it is. */
static void warn_if_weak(const char *variable, const char *secret, size_t strong_bytes)
{
    if (secret != NULL && strlen(secret) < strong_bytes)
        log_warn("config:weak_secret", log_str("variable", variable),
                 log_str("reason", "this secret is weak: it is short enough to be guessed"),
                 log_uint("recommended_bytes", strong_bytes));
}

static void start_api(struct app *app)
{
    const struct api_opts opts = {.service = &app->service, .key = app->config->api_key};
    warn_if_weak("API_KEY", opts.key, API_KEY_STRONG);
    if (opts.key != NULL || app->config->auth_enabled)
        app->service.api = api_create(&opts);
}

/* The keys are configuration, too: a start without good ones ends like one with a bad variable. */
static enum err start_auth(struct app *app)
{
    const struct config *config = app->config;
    char why[KEY_WHY_SIZE] = "";
    const struct auth_opts opts = {.secret = config->auth_jwt_secret,
                                   .keys_path = config->auth_jwt_keys,
                                   .issuer = config->auth_jwt_issuer,
                                   .audience = config->auth_jwt_audience};
    if (!config->auth_enabled)
        return ERR_OK;
    warn_if_weak("AUTH_JWT_SECRET", config->auth_jwt_secret, KEY_SECRET_STRONG);
    app->service.auth = auth_create(&opts, why);
    if (app->service.auth != NULL)
        return ERR_OK;
    fprintf(stderr,
            "chat-api: AUTH_JWT_KEYS=%s: %s (it takes a file with PEM public keys or a JWKS)\n",
            config->auth_jwt_keys, why);
    return ERR_INVALID;
}

static void start_limits(struct app *app)
{
    const struct config *config = app->config;
    app->service.trusted_proxies = &config->trusted_proxies;
    const struct limit limits[LIMITS_CLASSES] = {
        [EVENT_MESSAGES] = config->rate_limit_messages,
        [EVENT_TYPING] = config->rate_limit_typing,
        [EVENT_PRESENCE] = config->rate_limit_presence,
        [LIMITS_CONNECTS] = config->rate_limit_connects,
    };
    if (config->rate_limit_enabled)
        app->service.limits = limits_create(limits);
}

static enum err start_http(struct app *app)
{
    const struct config *config = app->config;
    const char *why = NULL;
    const struct http_opts opts = {.service = &app->service,
                                   .find_route = routes_find,
                                   .host = config->host,
                                   .port = config->port,
                                   .header_timeout_ms = config->http_header_timeout_ms,
                                   .connections_max = http_connections(config)};
    enum err err = http_create(&opts, &app->http, &why);
    if (err != ERR_OK)
        log_error("server:listen_failed", log_str("host", config->host),
                  log_uint("port", config->port), log_str("reason", why));
    return err;
}

static enum err start(struct app *app)
{
    enum err err = start_auth(app);
    if (err != ERR_OK)
        return err;
    start_limits(app);
    err = create_presence(app);
    if (err == ERR_OK)
        err = start_hub(app);
    if (err == ERR_OK)
        err = start_bus(app);
    if (err == ERR_OK)
        err = presence_start(app->service.presence);
    if (err != ERR_OK)
        log_error("server:start_failed", log_str("reason", strerror(errno)));
    start_api(app);
    if (err == ERR_OK)
        err = start_http(app);
    if (err != ERR_OK)
        return err;
    if (app->config->ws_ping_interval_ms >= app->config->ws_pong_timeout_ms)
        log_warn("config:no_ping", log_str("reason", "WS_PING_INTERVAL is not below "
                                                     "WS_PONG_TIMEOUT: silent clients are closed "
                                                     "without a ping"));
    atomic_store(&app->service.starting, false);
    log_info("server:listening", log_str("host", app->config->host),
             log_uint("port", http_port(app->http)), log_str("pod", app->config->pod_id),
             log_uint("connection_threads", app->config->connection_threads),
             log_uint("max_connections", app->config->max_connections),
             log_bool("redis", app->config->redis_enabled),
             log_bool("auth", app->config->auth_enabled));
    return ERR_OK;
}

/* --- stop --- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Takes what was started apart, however far that came. HTTP answers until the clients are gone. */
static void stop(struct app *app)
{
    struct service *service = &app->service;
    uint64_t timeout_ms = app->config->shutdown_timeout_ms;
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    uint64_t leave_ms = earlier(LEAVE_MS, timeout_ms / 4);
    size_t left = 0;
    atomic_store(&service->draining, true);
    if (service->hub != NULL)
        left = hub_drain(service->hub, deadline_ms - leave_ms);
    if (!atomic_load(&service->starting))
        presence_leave_all(service->presence);
    if (service->bus != NULL) {
        bus_release_waiters(service->bus);
        bus_stop(service->bus, deadline_ms - leave_ms / 2);
    }
    http_destroy(app->http);
    api_destroy(service->api);
    if (service->hub != NULL)
        hub_stop(service->hub);
    log_info("server:stopped", log_uint("clients_dropped", left));
    if (service->presence != NULL)
        presence_stop(service->presence);
    presence_destroy(service->presence);
    presence_voice_destroy(app->voice);
    bus_destroy(service->bus);
    control_destroy(service->control);
    message_inbox_destroy(app->inbox);
    hub_destroy(service->hub);
    window_destroy(service->window);
    limits_destroy(service->limits);
    auth_destroy(service->auth);
}

/* What main does meanwhile: late request heads, memory that a burst has left, Redis lost or back, a
 * changed file of keys. */
static void wait_for_stop(struct app *app)
{
    struct heap_watch heap;
    struct outage outage;
    heap_start(&heap);
    outage_init(&outage);
    while (!signals_wait(http_tick(app->http))) {
        heap_tick(&heap);
        outage_tick(&outage, &app->service);
        if (app->service.auth != NULL)
            auth_tick(app->service.auth, clock_monotonic_ms());
    }
}

int app_run(const struct config *config)
{
    struct app app = {.config = config,
                      .service = {.pod_id = config->pod_id,
                                  .allowed_origins = config->allowed_origins,
                                  .compression = config->ws_compression,
                                  .max_rooms = config->max_rooms_per_client,
                                  .redis_ready_grace_ms = config->redis_ready_grace_ms,
                                  .started_ms = clock_monotonic_ms()}};
    _Static_assert(CONFIG_OFF == SERVICE_FOR_EVER, "one meaning of off");
    atomic_init(&app.service.starting, true);
    signals_prepare();
    enum err err = start(&app);
    if (err == ERR_OK) {
        wait_for_stop(&app);
        signals_end_at_next();
        log_info("server:stopping");
    }
    if (err == ERR_INVALID)
        return APP_BAD_CONFIG;
    stop(&app);
    return err == ERR_OK ? 0 : 1;
}
