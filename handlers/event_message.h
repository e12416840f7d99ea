#pragma once

/*
 * What clients say to each other: messages, edits, and the marks of those who got them (EVENTS:
 * events, message status).
 *
 * Threads: the client's loop.
 */

struct event_call;

void event_message_send(const struct event_call *call);
void event_message_edit(const struct event_call *call);
void event_message_delete(const struct event_call *call);
void event_message_delivered(const struct event_call *call);
void event_message_read(const struct event_call *call);
