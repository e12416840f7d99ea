#pragma once

/*
 * The table of routes: the one place to add one. openapi.json must name the same (a test compares).
 *
 * Threads: libmicrohttpd's; the table never changes.
 */

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/slice.h"

struct request;

/* Bits, so that a path's methods fit into a number. */
enum route_method {
    ROUTE_GET = 1, /* and HEAD, which libmicrohttpd answers without the body */
    ROUTE_POST = 2,
    ROUTE_DELETE = 4,
};

enum route_access {
    ROUTE_OPEN,
    ROUTE_API, /* needs an API key or a token's scope; not there when neither is configured */
};

/* In the order in which a row is read. NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct route {
    enum route_method method; /* POST takes a body, the others take none */
    /* The path; a segment {…} stands for one segment, not empty, of any text. */
    const char *template;
    enum MHD_Result (*answer)(struct request *request);
    enum route_access access;
};

struct route_match {
    const struct route *route; /* NULL: the path or its method is unknown */
    struct slice rest;         /* what {…} stands for, encoded; SLICE_NONE without one */
    unsigned methods;          /* that the path takes; 0: the path is unknown */
};

/* Looks for the route of a path and a method (HEAD is GET). Exact templates come before those with
 * {…}. `with_api`: routes of ROUTE_API are there. */
void routes_find(const char *path, const char *method, bool with_api, struct route_match *match);

/* The value of Allow for these methods; a constant. */
const char *routes_allow(unsigned methods);

const char *route_method_name(enum route_method method);

size_t routes_count(void);
const struct route *routes_at(size_t i);
