#pragma once

/*
 * The names of the Redis channels (CONTRACT: Redis):
 *
 *     realtime:global          everybody's messages
 *     realtime:room:{room}     a room's
 *
 * and, apart from those, for programs that listen to realtime:* and want messages only:
 *
 *     realtime-events/{room}   what the pods tell a room's events clients, and each other
 *     realtime-control         what a pod tells all others
 *     realtime-control:{pod}   what a pod tells this one
 *
 * A room is named as the hub names it: the group of a room's events clients is `/{room}`. Only in
 * here, the pods themselves are a room: `//` is all of them, `//{pod}` is one.
 *
 * Threads: any; nothing is kept.
 */

#include <stdbool.h>

#include "core/base/slice.h"

#define CHANNEL_GLOBAL  "realtime:global"
#define CHANNEL_CONTROL "realtime-control"

enum {
    CHANNEL_ROOM_MAX = 129, /* bytes of a room's name, a slash in front included */
    CHANNEL_POD_MAX = 130,  /* of a pod's, the slashes included */
};

/* The name of a pod among rooms (ptr NULL: of all pods), written to `out`. */
struct slice channel_name_pod(struct slice pod, char out[CHANNEL_POD_MAX]);

/* The room's channel in two parts: a constant, then what of the name follows it. */
void channel_of_room(struct slice room, struct slice out[2]);

/* The room of such a channel; false when it is none, or no room may be named so. */
bool channel_find_room(struct slice channel, struct slice *room);
