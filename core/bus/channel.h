#pragma once

/* The names of the Redis channels (CONTRACT: Redis). */

#define CHANNEL_GLOBAL      "realtime:global"
#define CHANNEL_ROOM_PREFIX "realtime:room:"

enum { CHANNEL_ROOM_MAX = 128 }; /* bytes of a room's name */
