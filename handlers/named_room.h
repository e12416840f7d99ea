#pragma once

/*
 * The room that a request names: in its path, in its query, or in both, which then must agree.
 *
 *     /ws/lobby   /ws?room=lobby   /ws/lobby?room=lobby
 *
 * Threads: libmicrohttpd's.
 */

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/chat/room.h"

struct request;

struct named_room {
    struct slice name; /* decoded, in `bytes`; SLICE_NONE: none is named */
    char bytes[ROOM_NAME_MAX];
};

/* Every name that the request gives must be good, and all the same. Names the rule that is broken
 * (CONTRACT: the upgrade), and the room is none then; FAULT_NONE when none is. */
MUST_USE struct fault named_room_find(const struct request *request, struct named_room *room);
