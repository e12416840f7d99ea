/* What other pods say of marks: what was known before is left out. */
#include "handlers/status_news.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

#include "core/chat/window.h"

extern CU_TestInfo status_news_tests[];

#define FIRST  "01890a5d-ac96-774b-bcce-000000000001"
#define SECOND "01890a5d-ac96-774b-bcce-000000000002"
#define OTHER  "01890a5d-ac96-774b-bcce-000000000003"

struct scene {
    struct window *window;
    struct buf scratch;
    char json[512];
};

static void remember(struct scene *scene, const char *id)
{
    window_add(scene->window, &(struct window_message){.id = slice_str(id),
                                                       .room = slice_str("lobby"),
                                                       .sender = slice_str("ann")});
}

/* The window knows FIRST and SECOND, and not OTHER. */
static void begin(struct scene *scene)
{
    scene->window = window_create(8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(scene->window);
    buf_init(&scene->scratch, 4096);
    remember(scene, FIRST);
    remember(scene, SECOND);
}

static void end(struct scene *scene)
{
    window_destroy(scene->window);
    buf_fini(&scene->scratch);
}

static struct slice status_of(struct scene *scene, const char *ids, const char *status)
{
    (void)snprintf(
        scene->json, sizeof scene->json,
        "{\"id\":\"" OTHER "\",\"type\":\"chat\",\"event\":\"message:status\","
        "\"room\":\"user:ann\",\"from\":\"server\",\"data\":{\"ids\":%s,\"status\":\"%s\",\"user\":\"bob\","
        "\"room\":\"lobby\"},\"timestamp\":\"2026-02-05T00:00:00.000Z\"}",
        ids, status);
    return slice_str(scene->json);
}

static void expect(struct scene *scene, const char *ids, const char *status, const char *left)
{
    struct slice json = status_of(scene, ids, status);
    struct slice got = status_news(scene->window, json, &scene->scratch);
    if (left == NULL) {
        CU_ASSERT_PTR_NULL(got.ptr);
        return;
    }
    struct buf copy;
    buf_init(&copy, 4096);
    buf_append_slice(&copy, got);
    CU_ASSERT_TRUE(slice_equals(buf_slice(&copy), status_of(scene, left, status)));
    buf_fini(&copy);
}

static void what_is_news_goes_on_as_it_is(void)
{
    struct scene scene;
    begin(&scene);
    struct slice json = status_of(&scene, "[\"" FIRST "\",\"" OTHER "\"]", "delivered");
    CU_ASSERT_PTR_EQUAL(status_news(scene.window, json, &scene.scratch).ptr, json.ptr);
    end(&scene);
}

static void what_was_known_is_left_out(void)
{
    struct scene scene;
    begin(&scene);
    expect(&scene, "[\"" FIRST "\"]", "delivered", "[\"" FIRST "\"]");
    expect(&scene, "[\"" FIRST "\",\"" SECOND "\"]", "delivered", "[\"" SECOND "\"]");
    expect(&scene, "[\"" FIRST "\",\"" SECOND "\"]", "delivered", NULL);
    expect(&scene, "[\"" SECOND "\"]", "read", "[\"" SECOND "\"]");
    expect(&scene, "[\"" SECOND "\",\"" FIRST "\"]", "delivered", NULL);
    expect(&scene, "[\"" SECOND "\",\"" OTHER "\"]", "read", "[\"" OTHER "\"]");
    end(&scene);
}

static void anything_else_goes_on_as_it_is(void)
{
    static const char *const texts[] = {
        "",
        "{}",
        "{\"id\":\"" OTHER "\",\"type\":\"chat\",\"event\":\"message:status\",\"from\":\"server\","
        "\"data\":{\"ids\":5,\"user\":\"bob\"},\"timestamp\":\"2026-02-05T00:00:00.000Z\"}",
        "{\"id\":\"" OTHER "\",\"type\":\"chat\",\"event\":\"message:status\",\"from\":\"server\","
        "\"data\":{\"ids\":[5],\"user\":\"bob\"},\"timestamp\":\"2026-02-05T00:00:00.000Z\"}",
        "{\"id\":\"" OTHER "\",\"type\":\"notification\",\"event\":\"channel:activity\","
        "\"from\":\"server\",\"data\":{},\"timestamp\":\"2026-02-05T00:00:00.000Z\"}",
    };
    struct scene scene;
    begin(&scene);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct slice json = slice_str(texts[i]);
        struct slice got = status_news(scene.window, json, &scene.scratch);
        CU_ASSERT_PTR_EQUAL(got.ptr, json.ptr);
        CU_ASSERT_EQUAL(got.len, json.len);
    }
    end(&scene);
}

CU_TestInfo status_news_tests[] = {
    {"what_is_news_goes_on_as_it_is", what_is_news_goes_on_as_it_is},
    {"what_was_known_is_left_out", what_was_known_is_left_out},
    {"anything_else_goes_on_as_it_is", anything_else_goes_on_as_it_is},
    CU_TEST_INFO_NULL,
};
