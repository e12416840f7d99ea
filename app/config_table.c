#include "app/config_table.h"

#include "app/config.h"
#include "core/chat/window.h"
#include "handlers/api.h"

/* Under 10 ms a heartbeat or a deadline is a mistake in the unit; a day is as good as never. */
enum { SHORTEST_MS = 10, DAY_MS = 24 * 60 * 60 * 1000 };

#define AT(member) offsetof(struct config, member)

static const struct config_variable variables[] = {
    {"HOST", "0.0.0.0", CONFIG_HOST, AT(host), 0, 0},
    {"PORT", "8080", CONFIG_UNSIGNED, AT(port), 0, 65535},
    {"REDIS_URL", "", CONFIG_REDIS_URL, AT(redis_url), 0, 0},
    {"REDIS_OUTBOX", "10000", CONFIG_SIZE, AT(redis_outbox), 1, 10000000},
    {"REDIS_READY_GRACE", "off", CONFIG_DURATION_OR_OFF, AT(redis_ready_grace_ms), 0, DAY_MS},
    {"AUTH_ENABLED", "false", CONFIG_BOOL, AT(auth_enabled), 0, 0},
    {"AUTH_JWT_SECRET", "", CONFIG_SECRET, AT(auth_jwt_secret), 0, 0},
    {"AUTH_JWT_KEYS", "", CONFIG_TEXT, AT(auth_jwt_keys), 0, 0},
    {"AUTH_JWT_ISSUER", "", CONFIG_TEXT, AT(auth_jwt_issuer), 0, 0},
    {"AUTH_JWT_AUDIENCE", "", CONFIG_TEXT, AT(auth_jwt_audience), 0, 0},
    /* Behind AUTH_ENABLED, which is its default. */
    {"RATE_LIMIT_ENABLED", "", CONFIG_BOOL, AT(rate_limit_enabled), 0, 0},
    {"RATE_LIMIT_MESSAGES", "60/1m", CONFIG_LIMIT, AT(rate_limit_messages), 0, 0},
    {"RATE_LIMIT_TYPING", "10/1m", CONFIG_LIMIT, AT(rate_limit_typing), 0, 0},
    {"RATE_LIMIT_PRESENCE", "30/1m", CONFIG_LIMIT, AT(rate_limit_presence), 0, 0},
    {"RATE_LIMIT_CONNECTS", "10/1m", CONFIG_LIMIT, AT(rate_limit_connects), 0, 0},
    {"TRUSTED_PROXIES", "", CONFIG_NETWORKS, AT(trusted_proxies), 0, 0},
    {"API_KEY", "", CONFIG_KEY, AT(api_key), 1, API_KEY_MAX},
    {"ALLOWED_ORIGINS", "*", CONFIG_ORIGINS, AT(allowed_origins), 0, 0},
    {"POD_ID", "", CONFIG_POD_ID, AT(pod_id), 1, 128},
    /* Before MAX_CONNECTIONS: each thread takes descriptors away from it. */
    {"CONNECTION_THREADS", "", CONFIG_UNSIGNED, AT(connection_threads), 1, 256},
    {"IO_URING", "true", CONFIG_BOOL, AT(io_uring), 0, 0},
    {"MAX_CONNECTIONS", "", CONFIG_CONNECTIONS, AT(max_connections), 1, 0},
    {"WS_MAX_MESSAGE_SIZE", "65536", CONFIG_SIZE, AT(ws_max_message_bytes), 1, 16777216},
    {"WS_SEND_QUEUE", "256", CONFIG_SIZE, AT(ws_send_queue), 1, 1000000},
    {"WS_SEND_QUEUE_BYTES", "4194304", CONFIG_SIZE, AT(ws_send_queue_bytes), 1, 1073741824},
    {"WS_SEND_TOTAL_BYTES", "536870912", CONFIG_SIZE, AT(ws_send_total_bytes), 1, 1099511627776},
    {"WS_RECEIVE_TOTAL_BYTES", "268435456", CONFIG_SIZE, AT(ws_receive_total_bytes), 1,
     1099511627776},
    {"HTTP_HEADER_TIMEOUT", "10s", CONFIG_DURATION, AT(http_header_timeout_ms), SHORTEST_MS,
     DAY_MS},
    {"WS_MESSAGE_TIMEOUT", "30s", CONFIG_DURATION, AT(ws_message_timeout_ms), SHORTEST_MS, DAY_MS},
    {"WS_PING_INTERVAL", "25s", CONFIG_DURATION, AT(ws_ping_interval_ms), SHORTEST_MS, DAY_MS},
    {"WS_PONG_TIMEOUT", "60s", CONFIG_DURATION, AT(ws_pong_timeout_ms), SHORTEST_MS, DAY_MS},
    {"WS_COMPRESSION", "true", CONFIG_BOOL, AT(ws_compression), 0, 0},
    {"MAX_ROOMS_PER_CLIENT", "64", CONFIG_UNSIGNED, AT(max_rooms_per_client), 1, 10000},
    {"MESSAGE_WINDOW", "65536", CONFIG_SIZE, AT(message_window), 0, WINDOW_SIZE_MAX},
    {"PRESENCE_GRACE", "5s", CONFIG_DURATION, AT(presence_grace_ms), SHORTEST_MS, DAY_MS},
    {"PRESENCE_AWAY", "5m", CONFIG_DURATION, AT(presence_away_ms), SHORTEST_MS, DAY_MS},
    {"SHUTDOWN_TIMEOUT", "10s", CONFIG_DURATION, AT(shutdown_timeout_ms), SHORTEST_MS, DAY_MS},
    {"LOG_LEVEL", "info", CONFIG_LOG_LEVEL, AT(log_level), 0, 0},
};

const struct config_variable *config_variable_at(size_t row)
{
    return row < sizeof variables / sizeof *variables ? &variables[row] : NULL;
}
