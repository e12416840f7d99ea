#include "handlers/metrics.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/bus/bus.h"
#include "core/chat/hub.h"
#include "core/presence/presence.h"
#include "handlers/api.h"
#include "handlers/limits.h"
#include "handlers/reply.h"
#include "handlers/request.h"
#include "handlers/service.h"

enum { BODY_MAX = 64 * 1024 };

static void append_head(struct buf *body, const char *name, const char *type, const char *help)
{
    buf_printf(body, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void append(struct buf *body, const char *name, const char *type, uint64_t value,
                   const char *help)
{
    append_head(body, name, type, help);
    buf_printf(body, "%s %llu\n", name, (unsigned long long)value);
}

static void append_errors(struct buf *body, const struct counters *counters)
{
    append_head(body, "chat_errors_total", "counter", "Error envelopes sent to clients, by code.");
    for (int code = FAULT_NONE + 1; code < FAULT_CODES; code++)
        buf_printf(body, "chat_errors_total{code=\"%s\"} %llu\n",
                   fault_code_name((enum fault_code)code),
                   (unsigned long long)counter_get(&counters->errors_total[code]));
}

static void append_latency(struct buf *body, const struct counters *counters)
{
    static const char name[] = "chat_delivery_latency_seconds";
    uint64_t sum = 0;
    append_head(body, name, "histogram",
                "From a message taken in on this pod to a member's socket written.");
    for (int i = 0; i < LATENCY_BUCKETS; i++) {
        sum += counter_get(&counters->latency_buckets[i]);
        if (i < LATENCY_BUCKETS - 1)
            buf_printf(body, "%s_bucket{le=\"%g\"} %llu\n", name,
                       (double)counters_latency_bounds_ns[i] / 1e9, (unsigned long long)sum);
        else
            buf_printf(body, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)sum);
    }
    buf_printf(body, "%s_sum %.9f\n%s_count %llu\n", name,
               (double)counter_get(&counters->latency_sum_ns) / 1e9, name, (unsigned long long)sum);
}

static void append_hub(struct buf *body, const struct hub_stats *stats)
{
    const struct counters *c = &stats->counters;
    append(body, "chat_connections", "gauge", stats->connections, "Clients connected now.");
    append(body, "chat_rooms", "gauge", stats->rooms, "Rooms with members on this pod.");
    append(body, "chat_room_members", "gauge", stats->members,
           "Members of all rooms on this pod, added up.");
    append(body, "chat_connections_total", "counter", counter_get(&c->connections_total),
           "Clients that connected.");
    append(body, "chat_messages_received_total", "counter",
           counter_get(&c->messages_received_total), "Messages from clients.");
    append(body, "chat_messages_delivered_total", "counter",
           counter_get(&c->messages_delivered_total), "Messages handed to clients' sockets.");
    append(body, "chat_messages_dropped_total", "counter", counter_get(&c->messages_dropped_total),
           "Messages that waited for a client and were never sent.");
    append(body, "chat_received_bytes_total", "counter", counter_get(&c->bytes_received_total),
           "Bytes from clients, frame headers included.");
    append(body, "chat_sent_bytes_total", "counter", counter_get(&c->bytes_sent_total),
           "Bytes handed to clients' sockets.");
    append(body, "chat_slow_consumers_total", "counter", counter_get(&c->slow_consumers_total),
           "Clients closed because too much waited for them.");
    append(body, "chat_heartbeat_timeouts_total", "counter",
           counter_get(&c->heartbeat_timeouts_total), "Clients closed because they fell silent.");
    append(body, "chat_message_timeouts_total", "counter", counter_get(&c->message_timeouts_total),
           "Clients closed because a message was not finished in time.");
    append(body, "chat_protocol_violations_total", "counter",
           counter_get(&c->protocol_errors_total), "Clients closed for breaking the protocol.");
    append(body, "chat_auth_ended_total", "counter", counter_get(&c->auth_ended_total),
           "Clients closed because their token was over.");
    append(body, "chat_rate_limit_ended_total", "counter", counter_get(&c->rate_limit_ended_total),
           "Clients closed because limits refused them too often.");
    append_errors(body, c);
    append_latency(body, c);
}

static void append_bus(struct buf *body, struct bus *bus)
{
    struct bus_stats stats = {0};
    if (bus != NULL)
        bus_get_stats(bus, &stats);
    append(body, "chat_redis_up", "gauge", stats.connected, "Whether Redis is connected.");
    append(body, "chat_redis_reconnects_total", "counter", stats.reconnects_total,
           "Times the connection to Redis was established again.");
    append(body, "chat_redis_published_total", "counter", stats.published_total,
           "Messages that Redis took.");
    append(body, "chat_redis_received_total", "counter", stats.received_total,
           "Messages of other pods and programs.");
    append(body, "chat_redis_duplicates_total", "counter", stats.duplicates_total,
           "Messages that came again and were dropped.");
    append(body, "chat_redis_invalid_total", "counter", stats.invalid_total,
           "Payloads of other programs that are no message.");
    append(body, "chat_redis_subscriptions", "gauge", stats.subscriptions,
           "Rooms that are subscribed to.");
    append(body, "chat_redis_refused_total", "counter", stats.refused_total,
           "Subscriptions to rooms that Redis refused.");
    append(body, "chat_redis_outbox_messages", "gauge", stats.outbox_messages,
           "Messages that wait for Redis.");
    append(body, "chat_redis_outbox_bytes", "gauge", stats.outbox_bytes,
           "Bytes that wait for Redis.");
    append(body, "chat_redis_outbox_dropped_total", "counter", stats.outbox_dropped_total,
           "Messages dropped because too many waited for Redis.");
}

static void append_api(struct buf *body, const struct api *api)
{
    static const char name[] = "chat_api_messages_total";
    struct api_counts counts = api != NULL ? api->counts : (struct api_counts){0};
    append_head(
        body, name, "counter",
        "Messages that came over the HTTP API: published, not taken, or answered again under "
        "their Idempotency-Key.");
    buf_printf(body,
               "%s{result=\"accepted\"} %llu\n%s{result=\"rejected\"} %llu\n"
               "%s{result=\"replayed\"} %llu\n",
               name, (unsigned long long)counts.accepted, name, (unsigned long long)counts.rejected,
               name, (unsigned long long)counts.replayed);
}

static void append_presence(struct buf *body, struct presence *presence,
                            const struct counters *counters)
{
    static const char name[] = "chat_presence_events_total";
    struct presence_stats stats;
    presence_get_stats(presence, &stats);
    append_head(body, name, "counter",
                "What was told to rooms' events clients on this pod: once for each room.");
    buf_printf(body,
               "%s{event=\"join\"} %llu\n%s{event=\"leave\"} %llu\n"
               "%s{event=\"update\"} %llu\n%s{event=\"typing\"} %llu\n",
               name, (unsigned long long)stats.joins_total, name,
               (unsigned long long)stats.leaves_total, name,
               (unsigned long long)stats.updates_total, name,
               (unsigned long long)stats.typing_total);
    append(body, "chat_presence_rooms", "gauge", stats.rooms,
           "Rooms whose users on all pods are followed, as events clients here are in them.");
    append(body, "chat_presence_pods_gone_total", "counter", stats.pods_gone_total,
           "Other pods whose lease was over.");
    append(body, "chat_typing_dropped_total", "counter",
           counter_get(&counters->passing_dropped_total),
           "Times that a client with much waiting was not told of typing.");
}

static void append_refused(struct buf *body, struct service *service)
{
    append(body, "chat_auth_failures_total", "counter", atomic_load(&service->auth_failed_total),
           "Requests refused for want of a good token.");
    append_head(body, "chat_rate_limited_total", "counter", "What came too often, by class.");
    for (unsigned class = EVENT_UNLIMITED + 1; class < LIMITS_CLASSES; class ++)
        buf_printf(body, "chat_rate_limited_total{class=\"%s\"} %ju\n", limits_class_name(class),
                   (uintmax_t)(service->limits != NULL
                                   ? limits_refused_total(service->limits, class)
                                   : 0));
}

enum MHD_Result metrics_answer(struct request *request)
{
    struct service *service = request->service;
    struct hub_stats stats;
    struct buf body;
    hub_get_stats(service->hub, &stats);
    buf_init(&body, BODY_MAX);
    append_hub(&body, &stats);
    append_refused(&body, service);
    append(&body, "chat_redis_enabled", "gauge", service->bus != NULL, "Whether REDIS_URL is set.");
    append_bus(&body, service->bus);
    append_api(&body, service->api);
    append_presence(&body, service->presence, &stats.counters);
    append(&body, "chat_log_lines_dropped_total", "counter", log_dropped_total(),
           "Log lines that standard error did not take.");
    append_head(&body, "chat_uptime_seconds", "gauge", "Since the process started.");
    buf_printf(&body, "chat_uptime_seconds %.3f\n",
               (double)(clock_monotonic_ms() - service->started_ms) / 1000.0);
    return reply_text(request->connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                      &body);
}
