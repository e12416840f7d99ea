#pragma once

/*
 * Clients that an operator puts out: of a room that is closed, or altogether. On this pod only.
 *
 * Both are posted to the loops behind all that this thread published before, so a last message
 * still arrives.
 *
 * Threads: any.
 */

#include "core/base/slice.h"

struct hub;

enum {
    EVICTION_CODE_MIN = 4000, /* the codes of our own (CONTRACT: connections) */
    EVICTION_CODE_MAX = 4999,
    EVICTION_CODE = 4501, /* put out by the API */
};

struct eviction {
    unsigned code;       /* of the Close */
    struct slice reason; /* of it: UTF-8, at most WS_CLOSE_REASON_MAX bytes; copied */
};

/* Every member leaves the room. Who asked for chat.events.v1 or is in another room, too, stays
 * connected; the others are closed. */
void eviction_of_room(struct hub *hub, struct slice name, const struct eviction *eviction);

/* Every client of the user is closed: the members of its own room, or the one whose id this is. */
void eviction_of_user(struct hub *hub, struct slice user, const struct eviction *eviction);
