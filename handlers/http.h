#pragma once

/*
 * libmicrohttpd's side: the listening socket, the one thread that answers, the deadline for heads
 * and bodies of requests.
 *
 * Threads: create, stop and tick: the main thread. The rest: libmicrohttpd's.
 * Owns: the daemon, the listening socket, HTTP connections until they are upgraded.
 */

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

struct http;
struct route_match;
struct service;

struct http_opts {
    struct service *service;
    /* routes_find, or another table's. */
    void (*find_route)(const char *path, const char *method, bool with_api,
                       struct route_match *match);
    const char *host;
    unsigned port;              /* 0: any free one */
    uint64_t header_timeout_ms; /* for a head, and again for a body */
    unsigned connections_max;   /* not upgraded, at once */
};

/* ERR_SYSTEM and a sentence in `why` (a constant or strerror's text). */
MUST_USE enum err http_create(const struct http_opts *opts, struct http **out, const char **why);

/* The port that is listened on. */
unsigned http_port(const struct http *http);

/* Closes connections whose head or body did not come in time. Call it again in at most the returned
 * number of milliseconds. */
int http_tick(struct http *http);

/* No request waits for the bus any more (bus_release_waiters). Takes NULL. */
void http_destroy(struct http *http);

/* The connection's socket is handed over: it is never shut down from here again. For upgrade.c. */
void http_release_socket(struct http *http, struct MHD_Connection *connection);
