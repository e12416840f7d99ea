#pragma once

/*
 * What the handlers answer from: the parts of the running program, put together by app/.
 *
 * Threads: fixed before the first request; `draining` and `started` change while requests run.
 * Owns: nothing.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct api;
struct auth;
struct bus;
struct control;
struct hub;
struct presence;
struct window;
struct limits;
struct network_list;

#define SERVICE_FOR_EVER UINT64_MAX
#define SERVICE_VERSION  "1.0.0"

struct service {
    const char *pod_id;
    const char *allowed_origins;                /* for origin_is_allowed */
    bool compression;                           /* permessage-deflate is agreed to */
    uint64_t redis_ready_grace_ms;              /* how long Redis may be away; SERVICE_FOR_EVER */
    unsigned max_rooms;                         /* that a client may be in */
    struct auth *auth;                          /* NULL: nobody needs a token */
    struct limits *limits;                      /* NULL: nothing is limited */
    const struct network_list *trusted_proxies; /* whose X-Forwarded-For is believed */
    struct hub *hub;
    struct window *window; /* the last messages */
    struct bus *bus;       /* NULL: no Redis */
    struct presence *presence;
    struct control *control;                /* what pods say to each other */
    struct api *api;                        /* NULL: nobody may use the HTTP API */
    uint64_t started_ms;                    /* clock_monotonic_ms */
    atomic_bool starting;                   /* not all parts run yet */
    atomic_bool draining;                   /* no new clients */
    atomic_uint_fast64_t auth_failed_total; /* requests without a good token */
};
