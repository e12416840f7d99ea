#include "handlers/routes.h"

#include <string.h>

#include "handlers/delete_room.h"
#include "handlers/get_presence.h"
#include "handlers/get_rooms.h"
#include "handlers/health.h"
#include "handlers/metrics.h"
#include "handlers/page.h"
#include "handlers/post_activity.h"
#include "handlers/post_batch.h"
#include "handlers/post_disconnect.h"
#include "handlers/post_message.h"
#include "handlers/stats.h"
#include "handlers/upgrade.h"

static const struct route table[] = {
    {ROUTE_GET, "/", page_answer, ROUTE_OPEN},
    {ROUTE_GET, "/assets/{file}", page_answer, ROUTE_OPEN},
    {ROUTE_GET, "/docs", page_answer, ROUTE_OPEN},
    {ROUTE_GET, "/docs/{file}", page_answer, ROUTE_OPEN},
    {ROUTE_GET, "/openapi.json", page_answer, ROUTE_OPEN},
    {ROUTE_GET, "/api/chat-api/openapi.json", page_answer, ROUTE_OPEN},
    {ROUTE_GET, "/asyncapi.json", page_answer, ROUTE_OPEN},
    {ROUTE_GET, "/api/chat-api/asyncapi.json", page_answer, ROUTE_OPEN},
    {ROUTE_GET, "/healthz", health_answer_live, ROUTE_OPEN},
    {ROUTE_GET, "/readyz", health_answer_ready, ROUTE_OPEN},
    {ROUTE_GET, "/metrics", metrics_answer, ROUTE_OPEN},
    {ROUTE_GET, "/api/chat-api/ws/stats", stats_answer, ROUTE_OPEN},
    {ROUTE_GET, "/api/chat-api/ws", upgrade_answer, ROUTE_OPEN},
    {ROUTE_GET, "/api/chat-api/ws/{room}", upgrade_answer, ROUTE_OPEN},
    {ROUTE_GET, "/ws", upgrade_answer, ROUTE_OPEN},
    {ROUTE_GET, "/ws/{room}", upgrade_answer, ROUTE_OPEN},
    {ROUTE_GET, "/api/chat-api/rooms/{room}/presence", get_presence_answer, ROUTE_OPEN},
    {ROUTE_GET, "/api/chat-api/rooms", get_rooms_answer, ROUTE_API},
    {ROUTE_DELETE, "/api/chat-api/rooms/{room}", delete_room_answer, ROUTE_API},
    {ROUTE_POST, "/api/chat-api/users/{user}/disconnect", post_disconnect_answer, ROUTE_API},
    {ROUTE_POST, "/api/chat-api/messages", post_message_answer, ROUTE_API},
    {ROUTE_POST, "/api/chat-api/batch", post_batch_answer, ROUTE_API},
    {ROUTE_POST, "/api/chat-api/rooms/{room}/messages", post_room_message_answer, ROUTE_API},
    {ROUTE_POST, "/api/chat-api/rooms/{room}/activity", post_activity_answer, ROUTE_API},
};

/* Whether the path is the template; `rest` gets the segment that is a {…} there. */
static bool matches(const char *template, const char *path, struct slice *rest)
{
    const char *brace = strchr(template, '{');
    *rest = SLICE_NONE;
    if (brace == NULL)
        return strcmp(template, path) == 0;
    size_t prefix = (size_t)(brace - template);
    if (strncmp(template, path, prefix) != 0)
        return false;
    *rest = slice_of(path + prefix, strcspn(path + prefix, "/"));
    return rest->len != 0 && strcmp(strchr(brace, '}') + 1, rest->ptr + rest->len) == 0;
}

static bool is_method(enum route_method method, const char *name)
{
    return strcmp(route_method_name(method), name) == 0 ||
           (method == ROUTE_GET && strcmp(name, MHD_HTTP_METHOD_HEAD) == 0);
}

void routes_find(const char *path, const char *method, bool with_api, struct route_match *match)
{
    *match = (struct route_match){.rest = SLICE_NONE};
    for (size_t i = 0; i < routes_count() && match->route == NULL; i++) {
        const struct route *route = &table[i];
        struct slice rest;
        if ((route->access == ROUTE_API && !with_api) || !matches(route->template, path, &rest))
            continue;
        match->methods |= route->method;
        if (is_method(route->method, method)) {
            match->route = route;
            match->rest = rest;
        }
    }
}

const char *routes_allow(unsigned methods)
{
    static const char *const texts[] = {
        [ROUTE_GET] = "GET, HEAD",
        [ROUTE_POST] = "POST",
        [ROUTE_GET | ROUTE_POST] = "GET, HEAD, POST",
        [ROUTE_DELETE] = "DELETE",
        [ROUTE_GET | ROUTE_DELETE] = "GET, HEAD, DELETE",
        [ROUTE_POST | ROUTE_DELETE] = "POST, DELETE",
        [ROUTE_GET | ROUTE_POST | ROUTE_DELETE] = "GET, HEAD, POST, DELETE",
    };
    return texts[methods];
}

const char *route_method_name(enum route_method method)
{
    static const char *const names[] = {
        [ROUTE_GET] = "GET", [ROUTE_POST] = "POST", [ROUTE_DELETE] = "DELETE"};
    return names[method];
}

size_t routes_count(void)
{
    return sizeof table / sizeof *table;
}

const struct route *routes_at(size_t i)
{
    return &table[i];
}
