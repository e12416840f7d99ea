#pragma once

/*
 * The environment, read once at the start (CONTRACT: environment). The only place that calls
 * getenv.
 *
 * Threads: read and freed by main; never changes in between, so any thread may look.
 * Owns: its strings, until config_fini.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/bus/redis_url.h"
#include "core/limit/address.h"
#include "core/limit/limit.h"

#define CONFIG_OFF UINT64_MAX /* a duration that is "off" */

struct config {
    char *host;
    unsigned port;      /* 0: any free one */
    bool redis_enabled; /* REDIS_URL is not empty */
    bool auth_enabled;
    bool rate_limit_enabled;
    struct redis_url redis_url;
    size_t redis_outbox;           /* messages */
    uint64_t redis_ready_grace_ms; /* or CONFIG_OFF */
    char *api_key;                 /* NULL: none */
    char *auth_jwt_secret;         /* NULL: none, as with the next three */
    char *auth_jwt_keys; /* a file's path; it is read later, by the part that checks tokens */
    char *auth_jwt_issuer;
    char *auth_jwt_audience;
    struct limit rate_limit_messages;
    struct limit rate_limit_typing;
    struct limit rate_limit_presence;
    struct limit rate_limit_connects;
    struct network_list trusted_proxies;
    char *allowed_origins; /* as given; "*" by default */
    char *pod_id;
    unsigned connection_threads;
    size_t max_connections;
    size_t ws_max_message_bytes;
    size_t ws_send_queue; /* messages */
    size_t ws_send_queue_bytes;
    size_t ws_send_total_bytes;
    size_t ws_receive_total_bytes;
    uint64_t http_header_timeout_ms;
    uint64_t ws_message_timeout_ms;
    uint64_t ws_ping_interval_ms;
    uint64_t ws_pong_timeout_ms;
    bool ws_compression;
    bool io_uring;
    unsigned max_rooms_per_client;
    size_t message_window; /* messages */
    uint64_t presence_grace_ms;
    uint64_t presence_away_ms;
    uint64_t shutdown_timeout_ms;
    enum log_level log_level;
};

/*
 * Reads all variables. On ERR_INVALID a line for each bad one (variable, value, what it takes; the
 * value of REDIS_URL is redacted, that of a secret is left out) stands on standard error, and
 * `config` is empty.
 */
MUST_USE enum err config_load(struct config *config);
void config_fini(struct config *config);
