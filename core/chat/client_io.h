#pragma once

/*
 * What the parts of a client ask of each other: client.c (beginning and end), client_in.c (what it
 * sends), client_out.c (what waits for it). Nobody else includes this.
 *
 * Threads: the client's loop.
 */

#include "core/base/slice.h"
#include "core/chat/outq.h"
#include "core/ws/frame.h"

struct client;

/* Bytes that the peer sent, cut anywhere. */
void client_feed(struct client *client, struct slice bytes);

/* Reads or rests, by what waits for the client and by its pace. */
void client_update_reading(struct client *client);

/* A frame for this client alone, behind what waits. Without memory the client is dropped. */
void client_send_frame(struct client *client, struct slice frame, enum outq_kind kind);
void client_send_control(struct client *client, enum ws_opcode opcode, struct slice payload,
                         enum outq_kind kind);

/* The queue is written at the end of the turn. */
void client_schedule_flush(struct client *client);
