/*
 * chat-api                 serves, configured by the environment (.env.example)
 * chat-api --healthcheck   exit code 0 when a service on PORT answers /healthz; for containers
 * chat-api --routes        prints the routes, for the test that compares them with openapi.json
 * chat-api --events        prints the events, one JSON object a line, for the one that compares
 * them with asyncapi.json, openapi.json and docs/events.md
 */

#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/config.h"
#include "app/healthcheck.h"
#include "core/base/log.h"
#include "handlers/events.h"
#include "handlers/routes.h"

static int print_routes(void)
{
    for (size_t i = 0; i < routes_count(); i++)
        printf("%s %s\n", route_method_name(routes_at(i)->method), routes_at(i)->template);
    return 0;
}

/* The table holds nothing that JSON escapes. */
static void print_member(const char *name, const char *text)
{
    if (text != NULL)
        printf(",\"%s\":\"%s\"", name, text);
}

static int print_events(void)
{
    for (const struct event *event = events_table; event->name != NULL; event++) {
        printf("{\"event\":\"%s\"", event->name);
        print_member("type", envelope_type_name(event->type));
        print_member("class", event_class_name(event->class));
        print_member("in", event->in);
        print_member("out", event->out);
        print_member("reply", event->reply);
        printf("}\n");
    }
    return 0;
}

static int with_config(int (*run)(const struct config *config))
{
    struct config config;
    if (config_load(&config) != ERR_OK)
        return APP_BAD_CONFIG;
    log_open(config.log_level);
    int code = run(&config);
    config_fini(&config);
    return code;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return with_config(app_run);
    if (argc == 2 && strcmp(argv[1], "--healthcheck") == 0)
        return with_config(healthcheck_run);
    if (argc == 2 && strcmp(argv[1], "--routes") == 0)
        return print_routes();
    if (argc == 2 && strcmp(argv[1], "--events") == 0)
        return print_events();
    fprintf(stderr, "usage: chat-api [--healthcheck | --routes | --events]\n");
    return APP_BAD_CONFIG;
}
