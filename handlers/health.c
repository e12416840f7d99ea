#include "handlers/health.h"

#include "core/base/json.h"
#include "core/bus/bus.h"
#include "handlers/reply.h"
#include "handlers/request.h"
#include "handlers/service.h"

enum { BODY_MAX = 1024 };

enum MHD_Result health_answer_live(struct request *request)
{
    struct buf body;
    buf_init(&body, BODY_MAX);
    buf_append_str(&body, "{\"status\":\"ok\"}");
    return reply_text(request->connection, MHD_HTTP_OK, "application/json", &body);
}

/* Why the pod should get no new clients; NULL when it should. */
static const char *why_unready(const struct service *service, const struct bus_stats *bus)
{
    uint64_t grace_ms = service->redis_ready_grace_ms;
    if (atomic_load(&service->draining))
        return "draining: the server is shutting down";
    if (atomic_load(&service->starting))
        return "starting";
    if (service->bus == NULL || bus->connected)
        return NULL;
    if (!bus->ever_connected)
        return "Redis has not been reached since the start";
    if (grace_ms != SERVICE_FOR_EVER && bus->away_ms > grace_ms)
        return "Redis is away for longer than REDIS_READY_GRACE";
    return NULL;
}

static enum MHD_Result answer_unready(struct request *request, const char *reason)
{
    struct buf body;
    buf_init(&body, BODY_MAX);
    buf_append_str(&body, "{\"status\":\"error\",\"code\":\"UNAVAILABLE\",\"message\":");
    json_append_string(&body, slice_str(reason));
    buf_append_str(&body, ",\"data\":{\"status\":\"unready\",\"reason\":");
    json_append_string(&body, slice_str(reason));
    buf_append_str(&body, "}}");
    return reply_text(request->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "application/json", &body);
}

enum MHD_Result health_answer_ready(struct request *request)
{
    struct service *service = request->service;
    struct bus_stats bus = {0};
    struct buf body;
    if (service->bus != NULL)
        bus_get_stats(service->bus, &bus);
    const char *reason = why_unready(service, &bus);
    if (reason != NULL)
        return answer_unready(request, reason);
    buf_init(&body, BODY_MAX);
    buf_append_str(&body, service->bus == NULL || bus.connected
                              ? "{\"status\":\"ready\"}"
                              : "{\"status\":\"degraded\",\"reason\":\"Redis is away\"}");
    return reply_text(request->connection, MHD_HTTP_OK, "application/json", &body);
}
