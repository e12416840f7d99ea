#pragma once

/*
 * How the servers that are compared differ on the wire: the path of a room, and what stands around
 * a message. The rest, WebSocket itself, is in peer.c.
 */

#include <stdbool.h>
#include <stddef.h>

struct flavour {
    const char *name;
    const char *path;            /* the six digits of the room's number follow */
    const char *prefix, *suffix; /* around the text of a message */
    bool lines;                  /* a frame may hold several messages, with newlines between */
    bool socketio;               /* Engine.IO's packets: a greeting, and pings of its own */
};

/* NULL when there is none of that name. */
const struct flavour *flavour_find(const char *name);

enum heard {
    HEARD_MESSAGE,
    HEARD_OPEN,   /* the greeting is over */
    HEARD_ANSWER, /* `answer` is to be sent */
    HEARD_OTHER,
};

/* What a text of the server's is. Only for flavours with a greeting. */
enum heard flavour_hear(const char *text, size_t len, const char **answer);
