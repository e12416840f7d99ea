#pragma once

/*
 * What of a `message:status` that another pod sent is news to this one: a user with clients on
 * several pods may mark the same message on each of them (EVENTS: message status).
 *
 * Threads: any; the window has its lock.
 */

#include "core/base/buf.h"
#include "core/base/slice.h"

struct window;

/* The envelope with those ids that are news, which are noted; ptr NULL: none is. `json` is what the
 * pod wrote, and is given back as it is when it is no `message:status`, or all in it is news;
 * otherwise what is left of it stands in the scratch. */
struct slice status_news(struct window *window, struct slice json, struct buf *scratch);
