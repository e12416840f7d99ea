#pragma once

/*
 * The table of routes: the one place to add one. openapi.json must name the same (a test compares).
 *
 * Threads: libmicrohttpd's; the table never changes.
 */

#include <microhttpd.h>
#include <stddef.h>

#include "core/base/slice.h"

struct request;

struct route {
    /* The path; a last segment {…} stands for one segment, not empty, of any text. */
    const char *template;
    enum MHD_Result (*answer)(struct request *request);
};

/* The route of a path; `rest` gets what {…} stands for. NULL when there is none. Exact templates
 * come before those with {…}. */
const struct route *routes_find(const char *path, struct slice *rest);

size_t routes_count(void);
const struct route *routes_at(size_t i);
