#include "handlers/routes.h"

#include <string.h>

#include "handlers/health.h"
#include "handlers/metrics.h"
#include "handlers/page.h"
#include "handlers/stats.h"
#include "handlers/upgrade.h"

static const struct route table[] = {
    {"/", page_answer},
    {"/assets/{file}", page_answer},
    {"/docs", page_answer},
    {"/docs/{file}", page_answer},
    {"/openapi.json", page_answer},
    {"/api/chat-api/openapi.json", page_answer},
    {"/healthz", health_answer_live},
    {"/readyz", health_answer_ready},
    {"/metrics", metrics_answer},
    {"/api/chat-api/ws/stats", stats_answer},
    {"/api/chat-api/ws", upgrade_answer},
    {"/api/chat-api/ws/{room}", upgrade_answer},
    {"/ws", upgrade_answer},
    {"/ws/{room}", upgrade_answer},
};

/* Whether the path is the template; `rest` gets the last segment where that is a {…}. */
static bool matches(const char *template, const char *path, struct slice *rest)
{
    const char *brace = strchr(template, '{');
    *rest = SLICE_NONE;
    if (brace == NULL)
        return strcmp(template, path) == 0;
    size_t prefix = (size_t)(brace - template);
    if (strncmp(template, path, prefix) != 0 || strchr(path + prefix, '/') != NULL)
        return false;
    *rest = slice_str(path + prefix);
    return rest->len != 0;
}

const struct route *routes_find(const char *path, struct slice *rest)
{
    for (size_t i = 0; i < routes_count(); i++)
        if (matches(table[i].template, path, rest))
            return &table[i];
    return NULL;
}

size_t routes_count(void)
{
    return sizeof table / sizeof *table;
}

const struct route *routes_at(size_t i)
{
    return &table[i];
}
