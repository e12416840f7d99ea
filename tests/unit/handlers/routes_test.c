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
        struct slice rest = slice_str("untouched");
        const struct route *route = routes_find(rows[i].path, &rest);
        CU_ASSERT_PTR_NOT_NULL_FATAL(route);
        CU_ASSERT_STRING_EQUAL(route->template, rows[i].template);
        if (rows[i].rest == NULL)
            CU_ASSERT_PTR_NULL(rest.ptr);
        if (rows[i].rest != NULL && !slice_equals_str(rest, rows[i].rest))
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
        struct slice rest;
        if (routes_find(paths[i], &rest) != NULL)
            CU_FAIL(paths[i]);
    }
}

/* With its own template as the path, or with something in the place of {…}. */
static void each_route_can_be_found(void)
{
    CU_ASSERT_TRUE(routes_count() != 0);
    for (size_t i = 0; i < routes_count(); i++) {
        struct slice rest;
        const struct route *route = routes_at(i);
        CU_ASSERT_PTR_NOT_NULL(route->answer);
        CU_ASSERT_EQUAL(route->template[0], '/');
        CU_ASSERT_PTR_EQUAL(routes_find(route->template, &rest), route);
    }
}

/* A {…} stands for the last segment only, and whole. */
static void templates_are_well_formed(void)
{
    for (size_t i = 0; i < routes_count(); i++) {
        const char *template = routes_at(i)->template, *brace = strchr(template, '{');
        if (brace == NULL)
            continue;
        CU_ASSERT_EQUAL(brace[-1], '/');
        CU_ASSERT_PTR_NULL(strchr(brace, '/'));
        CU_ASSERT_EQUAL(template[strlen(template) - 1], '}');
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
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice rest;
        const struct route *route = routes_find(rows[i].path, &rest);
        CU_ASSERT_PTR_NOT_NULL_FATAL(route);
        if (route->answer != rows[i].answer)
            CU_FAIL(rows[i].path);
    }
}

CU_TestInfo routes_tests[] = {
    {"each_path_has_its_route", each_path_has_its_route},
    {"another_path_has_none", another_path_has_none},
    {"each_route_can_be_found", each_route_can_be_found},
    {"templates_are_well_formed", templates_are_well_formed},
    {"both_prefixes_have_the_same_handlers", both_prefixes_have_the_same_handlers},
    CU_TEST_INFO_NULL,
};
