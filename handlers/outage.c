#include "handlers/outage.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/bus/bus.h"
#include "core/chat/envelope.h"
#include "core/chat/hub.h"
#include "core/chat/message.h"
#include "handlers/service.h"

enum { TEXT_MAX = 512 };

struct telling {
    const char *event;
    const char *data;
};

static const struct telling tellings[] = {
    [OUTAGE_BEGAN] = {"system:degraded", "{\"reason\":\"Redis is away\"}"},
    [OUTAGE_ENDED] = {"system:restored", "{\"reason\":\"Redis is back\"}"},
};

void outage_init(struct outage *outage)
{
    *outage = (struct outage){.away = false};
}

enum outage_change outage_look(struct outage *outage, bool connected, uint64_t now_ms)
{
    bool away = !connected;
    if (away != outage->away) {
        outage->away = away;
        outage->since_ms = now_ms;
    }
    if (away == outage->told || now_ms - outage->since_ms < OUTAGE_HOLD_MS)
        return OUTAGE_SAME;
    outage->told = away;
    return away ? OUTAGE_BEGAN : OUTAGE_ENDED;
}

/* One message, shared by all who get it; without memory nobody hears of it. */
static void tell(struct hub *hub, enum outage_change change)
{
    const struct telling *telling = &tellings[change];
    struct buf json;
    buf_init(&json, TEXT_MAX);
    envelope_begin_server(&json, ENVELOPE_SYSTEM, telling->event, SLICE_NONE);
    buf_append_str(&json, telling->data);
    envelope_end_server(&json);
    struct message *message = NULL;
    if (json.err == ERR_OK)
        message = message_try_create(WS_TEXT, buf_slice(&json), clock_monotonic_ns());
    if (message != NULL)
        hub_announce(hub, message, change == OUTAGE_BEGAN);
    message_release(message);
    buf_fini(&json);
}

void outage_tick(struct outage *outage, struct service *service)
{
    if (service->bus == NULL)
        return;
    bool connected = bus_is_connected(service->bus);
    enum outage_change change = outage_look(outage, connected, clock_monotonic_ms());
    if (change == OUTAGE_SAME)
        return;
    if (change == OUTAGE_BEGAN)
        log_warn("system:degraded");
    else
        log_info("system:restored");
    tell(service->hub, change);
}
