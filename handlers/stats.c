#include "handlers/stats.h"

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/bus/bus.h"
#include "core/chat/hub.h"
#include "handlers/reply.h"
#include "handlers/request.h"
#include "handlers/service.h"

enum {
    ROOMS_MAX = 1000,
    BODY_MAX = 4 * 1024 * 1024, /* 1000 names of 128 bytes, each byte escaped, fit */
};

static size_t append_rooms(struct buf *body, struct hub *hub)
{
    size_t total = 0;
    struct hub_room_count *rooms = mem_resize(NULL, ROOMS_MAX, sizeof *rooms);
    size_t count = hub_list_rooms(hub, rooms, ROOMS_MAX, &total);
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            buf_append_char(body, ',');
        json_append_string(body, slice_of(rooms[i].name, rooms[i].name_len));
        buf_printf(body, ":%u", rooms[i].members);
    }
    mem_free(rooms);
    return total;
}

enum MHD_Result stats_answer(struct request *request)
{
    struct service *service = request->service;
    struct hub_stats stats;
    struct buf body;
    hub_get_stats(service->hub, &stats);
    buf_init(&body, BODY_MAX);
    buf_append_str(&body, "{\"pod\":");
    json_append_string(&body, slice_str(service->pod_id));
    buf_printf(&body, ",\"connections\":%zu,\"rooms\":{", stats.connections);
    size_t room_count = append_rooms(&body, service->hub);
    buf_printf(&body,
               "},\"room_count\":%zu,\"messages\":{\"received\":%llu,\"delivered\":%llu,"
               "\"dropped\":%llu}",
               room_count, (unsigned long long)counter_get(&stats.counters.messages_received_total),
               (unsigned long long)counter_get(&stats.counters.messages_delivered_total),
               (unsigned long long)counter_get(&stats.counters.messages_dropped_total));
    bool connected = service->bus != NULL && bus_is_connected(service->bus);
    buf_printf(&body, ",\"redis\":{\"enabled\":%s,\"connected\":%s},\"uptime_seconds\":%.3f}",
               service->bus != NULL ? "true" : "false", connected ? "true" : "false",
               (double)(clock_monotonic_ms() - service->started_ms) / 1000.0);
    return reply_text(request->connection, MHD_HTTP_OK, "application/json", &body);
}
