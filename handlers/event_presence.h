#pragma once

/*
 * A user's status and typing (EVENTS: presence, typing).
 *
 * Threads: the client's loop.
 */

struct event_call;

void event_presence_update(const struct event_call *call);
/* A plain client's message of type presence, without an event: passed on like any other (CONTRACT),
 * and an update as well when its data is one. */
void event_presence_message(const struct event_call *call);
void event_user_typing(const struct event_call *call);
