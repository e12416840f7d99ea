#include "handlers/event_session.h"

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"
#include "handlers/events.h"
#include "handlers/service.h"

enum { TIME_MAX = 64 };

static void append_time(struct buf *buf, const char *name)
{
    char now[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(clock_wall_ms(), now);
    buf_printf(buf, ",\"%s\":\"%s\"", name, now);
}

void event_ping(const struct event_call *call)
{
    struct buf *scratch = &client_shard(call->client)->scratch;
    struct buf members;
    /* A plain client is told nothing that it did not ask for. */
    if (!call->envelope->ref_given && !client_is_events(call->client))
        return;
    buf_init(&members, TIME_MAX);
    append_time(&members, "time");
    buf_clear(scratch);
    envelope_append_reply(scratch, call->envelope, buf_slice(&members));
    if (scratch->err == ERR_OK && members.err == ERR_OK)
        client_reply(call->client, buf_slice(scratch));
    buf_fini(&members);
}

void event_hello(void *arg, struct client *client)
{
    const struct service *service = arg;
    const struct hub_opts *opts = hub_opts(service->hub);
    struct buf *json = &client_shard(client)->scratch;
    if (!client_is_events(client))
        return;
    buf_clear(json);
    envelope_begin_server(json, ENVELOPE_SYSTEM, "hello", SLICE_NONE);
    buf_append_str(json, "{\"client_id\":");
    json_append_string(json, client_id(client));
    buf_append_str(json, ",\"user\":");
    json_append_string(json, client_user_id(client));
    buf_append_str(json, ",\"pod\":");
    json_append_string(json, slice_str(service->pod_id));
    buf_printf(json, ",\"heartbeat_ms\":%llu,\"max_message_bytes\":%zu,\"max_rooms\":%u",
               (unsigned long long)opts->ping_interval_ms, opts->limits.max_message_bytes,
               service->max_rooms);
    append_time(json, "server_time");
    buf_append_str(json, ",\"version\":\"" SERVICE_VERSION "\"}");
    envelope_end_server(json);
    if (json->err == ERR_OK)
        client_send(client, WS_TEXT, buf_slice(json));
}
