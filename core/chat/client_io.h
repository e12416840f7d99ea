#pragma once

/*
 * What the parts of a client ask of each other: client.c (beginning and end), client_in.c (what it
 * sends), client_out.c (what waits for it), client_rooms.c (where it is); and the hub, which admits
 * it. Nobody else includes this.
 *
 * Threads: the client's loop.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/chat/client_work.h"
#include "core/chat/outq.h"
#include "core/ws/frame.h"

struct client;
struct membership;

/* Counts an events client into the hidden rooms that it is in from the start; on the thread that
 * admits it. ERR_NOMEM: nothing is counted. */
MUST_USE enum err client_reserve_rooms(struct client *client);
/* Puts it into the arrays of all rooms that it was counted into. ERR_NOMEM: into some. */
MUST_USE enum err client_enter_reserved(struct client *client);
/* Out of all rooms. */
void client_leave_rooms(struct client *client);

/* What the turn brought the client's rooms so far goes into its queue. */
void client_queue_taken(struct client *client);
void client_queue_taken_of(struct client *client, struct membership *membership);

/* Whether anything waits to be sent. */
bool client_has_waiting(const struct client *client);

/* Whether it is not read from for its pace. */
bool client_is_paced(const struct client *client);

/* It shows that it lives: it said something, or takes what waits for it. */
void client_touch(struct client *client);

/* It takes too little: it is counted and ends with 4002. */
void client_end_slow(struct client *client);

/* Bytes that the peer sent, cut anywhere. */
void client_feed(struct client *client, struct slice bytes);

/* Looks at what was put by; some of it may be put by again. */
void client_feed_stash(struct client *client);

/* Its connection is broken: nothing more is written. What it said before that is heard, without
 * pauses, but of a few such clients a turn; then it is dropped. */
void client_lose(struct client *client);

/* Reads or rests, by what waits for the client and by its pace. */
void client_update_reading(struct client *client);

/* A frame for this client alone, behind what waits. Without memory the client is dropped. */
void client_send_frame(struct client *client, struct slice frame, enum outq_kind kind);
void client_send_control(struct client *client, enum ws_opcode opcode, struct slice payload,
                         enum outq_kind kind);

/* The queue is written at the end of the turn. */
void client_schedule_flush(struct client *client);
