#pragma once

/*
 * Who may join which room, and publish where.
 *
 * Threads: any; nothing is kept.
 */

#include <stdbool.h>

#include "core/base/fault.h"
#include "core/base/slice.h"

struct user;

/* The subprotocol of clients that want what the service itself says. */
#define EVENTS_PROTOCOL "chat.events.v1"

#define ROOM_PRESENCE_GLOBAL "presence:global"

/*
 * FAULT_NONE when the user (NULL: authentication is off) may join the room with such a client. `id`
 * is whose room `user:{id}` is its own (ptr NULL: not known yet).
 */
struct fault rights_check_join(struct slice room, const struct user *user, struct slice id,
                               bool events);

/* Whether such a client may leave the room: any but the one that it is in from the start, by which
 * its user is found. */
struct fault rights_check_leave(struct slice room, const struct user *user, struct slice id,
                                bool events);

/* Whether the user may publish to the room (ptr NULL: to everybody); only the service and the HTTP
 * API publish to users' rooms. */
struct fault rights_check_publish(struct slice room, const struct user *user);
