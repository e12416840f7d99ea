#pragma once

/*
 * room:join and room:leave (EVENTS: rooms by right, events). Both are carried out in the mailbox,
 * so that a client's own messages keep their place before and behind them; the reply to a join goes
 * out once Redis has confirmed the subscription (BUS_AWAIT_MS at most), so that nothing that is
 * published after it is missed. And the way out of a room that a new token does not allow.
 *
 * Threads: the client's loop.
 */

#include <stdbool.h>

#include "core/base/slice.h"

struct client;
struct event_call;
struct service;

void event_room_join(const struct event_call *call);
void event_room_leave(const struct event_call *call);

/* Out of a room that it is in: an error that bears the room's name comes behind the last message
 * from there. False: without memory the connection ends instead. */
bool event_room_put_out(struct service *service, struct client *client, struct slice room);
