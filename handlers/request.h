#pragma once

/*
 * One HTTP request as the handlers see it, and the questions they ask of it.
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/digest.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/bus/bus.h"
#include "core/ws/handshake.h"
#include "handlers/body.h"
#include "handlers/reply.h"

struct client;
struct http;
struct presence_request;
struct room;
struct rooms_request;
struct route;
struct service;
struct user;

/* A room whose subscription an upgrade waits for. */
struct request_wait {
    struct bus_waiter waiter;
    struct request *request;
    struct room *room; /* counted */
};

enum { REQUEST_WAITS_MAX = 2 }; /* the path's room, the user's */

struct request {
    struct service *service;
    struct http *http;
    struct MHD_Connection *connection;
    const char *path;    /* percent-encoded, without the query */
    const char *method;  /* GET, HEAD, or another */
    const char *version; /* HTTP/1.1, HTTP/1.0 */
    struct slice rest;   /* the part of the path that the route's {…} stands for, encoded */
    const struct route *route;
    struct refusal refusal; /* by its head */
    struct body body;
    struct rooms_request *rooms;       /* of get_rooms.c; NULL: none */
    struct presence_request *presence; /* of get_presence.c; NULL: none */
    struct digest credentials;         /* tells who is let in by ROUTE_API from others */

    /* The upgrade's. */
    struct user *user;     /* who its token names, counted; NULL: authentication is off */
    struct client *client; /* admitted, its socket not handed over yet */
    int socket;            /* the duplicate that will be handed over; -1: none */
    struct request_wait waits[REQUEST_WAITS_MAX];
    unsigned waits_count;
    atomic_uint awaiting; /* of them, those that are not over; the last one resumes */
    char extensions[HANDSHAKE_EXTENSIONS_SIZE]; /* agreed on when it was admitted */
    bool events;                                /* the client asked for chat.events.v1 */
    bool awaited;                               /* the answer is due */
};

/*
 * The header's value without blanks around it: libmicrohttpd's own memory, or, of several fields of
 * the same name, what they are joined to with ", " in `scratch` (which is cleared). SLICE_NONE
 * where there is none, and where it does not fit or there is no memory; then `scratch->err` says
 * so, which matters to whoever lets more through without a header than with one.
 */
struct slice request_header(const struct request *request, const char *name, struct buf *scratch);

/* The path of a request's target: an absolute one (RFC 9112 3.2.2) names scheme and host before it,
 * which tell nothing here. What is neither form comes back as it is. */
const char *request_path_of(const char *target);

/* Whether the request announces a body. */
bool request_has_body(const struct request *request);

/* Decodes %XX. ERR_INVALID for a broken escape, ERR_FULL when the text has more than `size` bytes.
 */
MUST_USE enum err request_decode(struct slice encoded, char *out, size_t size, size_t *len);
