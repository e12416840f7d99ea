#include "handlers/routes.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "handlers/health.h"
#include "handlers/metrics.h"
#include "handlers/page.h"
#include "handlers/stats.h"
#include "handlers/upgrade.h"

/* `rest` NULL: the template has no {…}. */
static void each_path_has_its_route(void)
{
    static const struct {
        const char *path, *template, *rest;
    } rows[] = {
        {"/", "/", NULL},
        {"/healthz", "/healthz", NULL},
        {"/readyz", "/readyz", NULL},
        {"/metrics", "/metrics", NULL},
        {"/docs", "/docs", NULL},
        {"/openapi.json", "/openapi.json", NULL},
        {"/api/chat-api/openapi.json", "/api/chat-api/openapi.json", NULL},
        {"/asyncapi.json", "/asyncapi.json", NULL},
        {"/api/chat-api/asyncapi.json", "/api/chat-api/asyncapi.json", NULL},
        {"/api/chat-api/ws", "/api/chat-api/ws", NULL},
        {"/api/chat-api/ws/lobby", "/api/chat-api/ws/{room}", "lobby"},
        {"/api/chat-api/ws/a%2Fb", "/api/chat-api/ws/{room}", "a%2Fb"},
        {"/api/chat-api/ws/stats", "/api/chat-api/ws/stats", NULL},
        {"/api/chat-api/ws/statsx", "/api/chat-api/ws/{room}", "statsx"},
        {"/api/chat-api/ws/%73tats", "/api/chat-api/ws/{room}", "%73tats"},
        {"/ws", "/ws", NULL},
        {"/ws/lobby", "/ws/{room}", "lobby"},
        {"/ws/stats", "/ws/{room}", "stats"},
        {"/ws/ws", "/ws/{room}", "ws"},
        {"/ws/{room}", "/ws/{room}", "{room}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct route_match match;
        routes_find(rows[i].path, "GET", true, &match);
        CU_ASSERT_PTR_NOT_NULL_FATAL(match.route);
        CU_ASSERT_STRING_EQUAL(match.route->template, rows[i].template);
        if (rows[i].rest == NULL)
            CU_ASSERT_PTR_NULL(match.rest.ptr);
        if (rows[i].rest != NULL && !slice_equals_str(match.rest, rows[i].rest))
            CU_FAIL(rows[i].path);
    }
}

static void another_path_has_none(void)
{
    static const char *const paths[] = {
        "",
        "x",
        "//",
        "/x",
        "/healthz/",
        "/Healthz",
        "/healthzx",
        "/ws/",
        "/ws/a/b",
        "/ws//",
        "/ws/a/",
        "/wsx",
        "/api",
        "/api/",
        "/api/chat-api",
        "*",
        "/api/chat-api/",
        "/api/chat-api/ws/",
        "/api/chat-api/ws/a/b",
        "/api/chat-api/ws/stats/",
        "/metrics?x",
        "/docs/",
        "/assets/",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct route_match match;
        routes_find(paths[i], "GET", true, &match);
        if (match.route != NULL || match.methods != 0)
            CU_FAIL(paths[i]);
    }
}

/* With its own template as the path, or with something in the place of {…}. */
static void each_route_can_be_found(void)
{
    CU_ASSERT_TRUE(routes_count() != 0);
    for (size_t i = 0; i < routes_count(); i++) {
        struct route_match match;
        const struct route *route = routes_at(i);
        CU_ASSERT_PTR_NOT_NULL(route->answer);
        CU_ASSERT_EQUAL(route->template[0], '/');
        routes_find(route->template, route_method_name(route->method), true, &match);
        CU_ASSERT_PTR_EQUAL(match.route, route);
    }
}

/* A {…} stands for one segment, and whole. */
static void templates_are_well_formed(void)
{
    for (size_t i = 0; i < routes_count(); i++) {
        const char *template = routes_at(i)->template, *brace = strchr(template, '{');
        if (brace == NULL)
            continue;
        const char *end = strchr(brace, '}');
        CU_ASSERT_EQUAL(brace[-1], '/');
        CU_ASSERT_PTR_NOT_NULL_FATAL(end);
        CU_ASSERT_TRUE(end[1] == '\0' || end[1] == '/');
        CU_ASSERT_PTR_NULL(memchr(brace, '/', (size_t)(end - brace)));
        CU_ASSERT_PTR_NULL(strchr(end, '{'));
    }
}

static void both_prefixes_have_the_same_handlers(void)
{
    static const struct {
        const char *path;
        enum MHD_Result (*answer)(struct request *request);
    } rows[] = {
        {"/ws", upgrade_answer},
        {"/ws/a", upgrade_answer},
        {"/api/chat-api/ws", upgrade_answer},
        {"/api/chat-api/ws/a", upgrade_answer},
        {"/api/chat-api/ws/stats", stats_answer},
        {"/healthz", health_answer_live},
        {"/readyz", health_answer_ready},
        {"/metrics", metrics_answer},
        {"/", page_answer},
        {"/docs", page_answer},
        {"/openapi.json", page_answer},
        {"/api/chat-api/openapi.json", page_answer},
        {"/asyncapi.json", page_answer},
        {"/api/chat-api/asyncapi.json", page_answer},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct route_match match;
        routes_find(rows[i].path, "GET", true, &match);
        CU_ASSERT_PTR_NOT_NULL_FATAL(match.route);
        if (match.route->answer != rows[i].answer)
            CU_FAIL(rows[i].path);
    }
}

static void a_segment_in_the_middle_stands_for_itself(void)
{
    static const struct {
        const char *path, *template, *rest;
    } rows[] = {
        {"/api/chat-api/rooms/lobby/messages", "/api/chat-api/rooms/{room}/messages", "lobby"},
        {"/api/chat-api/rooms/a%2Fb/activity", "/api/chat-api/rooms/{room}/activity", "a%2Fb"},
        {"/api/chat-api/rooms/messages/messages", "/api/chat-api/rooms/{room}/messages",
         "messages"},
        {"/api/chat-api/rooms//messages", NULL, NULL},
        {"/api/chat-api/rooms/a/messages/", NULL, NULL},
        {"/api/chat-api/rooms/a/messages/b", NULL, NULL},
        {"/api/chat-api/rooms/a/b/messages", NULL, NULL},
        {"/api/chat-api/rooms/messages", NULL, NULL},
        {"/api/chat-api/rooms/a/message", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct route_match match;
        routes_find(rows[i].path, "POST", true, &match);
        if (rows[i].template == NULL
                ? match.route != NULL
                : match.route == NULL || strcmp(match.route->template, rows[i].template) != 0 ||
                      !slice_equals_str(match.rest, rows[i].rest))
            CU_FAIL(rows[i].path);
    }
}

static void presence_is_found_beside_a_room(void)
{
    struct route_match match;
    routes_find("/api/chat-api/rooms/a%2Fb/presence", "GET", false, &match);
    CU_ASSERT_PTR_NOT_NULL_FATAL(match.route);
    CU_ASSERT_TRUE(slice_equals_str(match.rest, "a%2Fb"));
}

static void the_method_picks_the_route(void)
{
    static const char *const foreign[] = {"PUT", "POST", "DELETE", "get", "", "HEADS"};
    struct route_match match;
    routes_find("/healthz", "HEAD", false, &match);
    CU_ASSERT_PTR_NOT_NULL_FATAL(match.route);
    CU_ASSERT_STRING_EQUAL(match.route->template, "/healthz");
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        routes_find("/healthz", foreign[i], false, &match);
        CU_ASSERT_PTR_NULL(match.route);
        CU_ASSERT_EQUAL(match.methods, ROUTE_GET);
    }
}

static void api_routes_are_hidden_without_access(void)
{
    for (size_t i = 0; i < routes_count(); i++) {
        const struct route *route = routes_at(i);
        struct route_match match;
        routes_find(route->template, route_method_name(route->method), false, &match);
        CU_ASSERT_EQUAL(match.route != NULL, route->access == ROUTE_OPEN);
    }
}

static void allow_names_every_method(void)
{
    for (unsigned methods = 1; methods < 2 * ROUTE_DELETE; methods++) {
        const char *text = routes_allow(methods);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        for (unsigned method = ROUTE_GET; method <= ROUTE_DELETE; method *= 2) {
            const char *name = route_method_name((enum route_method)method);
            CU_ASSERT_EQUAL(strstr(text, name) != NULL, (methods & method) != 0);
        }
        CU_ASSERT_EQUAL(strstr(text, "HEAD") != NULL, (methods & ROUTE_GET) != 0);
    }
}

CU_TestInfo routes_tests[] = {
    {"each_path_has_its_route", each_path_has_its_route},
    {"another_path_has_none", another_path_has_none},
    {"each_route_can_be_found", each_route_can_be_found},
    {"templates_are_well_formed", templates_are_well_formed},
    {"both_prefixes_have_the_same_handlers", both_prefixes_have_the_same_handlers},
    {"a_segment_in_the_middle_stands_for_itself", a_segment_in_the_middle_stands_for_itself},
    {"presence_is_found_beside_a_room", presence_is_found_beside_a_room},
    {"the_method_picks_the_route", the_method_picks_the_route},
    {"api_routes_are_hidden_without_access", api_routes_are_hidden_without_access},
    {"allow_names_every_method", allow_names_every_method},
    CU_TEST_INFO_NULL,
};
