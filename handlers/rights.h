#pragma once

/*
 * Who may join which room, and publish where.
 *
 * Threads: any; nothing is kept.
 */

#include <stdbool.h>

#include "core/base/fault.h"
#include "core/base/slice.h"

/* The subprotocol of clients that want what the service itself says. */
#define EVENTS_PROTOCOL "chat.events.v1"

#define ROOM_PRESENCE_GLOBAL "presence:global"

/* FAULT_NONE when the user (ptr NULL: not known yet) may join the room with such a client. */
struct fault rights_check_join(struct slice room, struct slice user, bool events);

/* Whether clients may publish to the room; only the service and the HTTP API publish to users'
 * rooms. */
struct fault rights_check_publish(struct slice room);
