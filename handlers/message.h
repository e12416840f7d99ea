#pragma once

/*
 * A message that a client sent, or that came from another pod or program: read, checked, written as
 * it goes to clients, and given to the hub and to the other pods.
 *
 * Threads: message_from_client: the client's loop. The others: the bus thread.
 */

#include <stdbool.h>

#include "core/base/slice.h"
#include "core/ws/frame.h"
#include "handlers/publish.h"

struct client;
struct message_inbox;
struct service;
struct window;

/* hub_opts.on_message; `arg` is the struct service. */
void message_from_client(void *arg, struct client *client, enum ws_opcode opcode,
                         struct slice payload);

/* What the bus thread needs of its own. Made before the bus starts, destroyed after it stopped. */
struct message_inbox *message_inbox_create(struct service *service);
/* Takes NULL. */
void message_inbox_destroy(struct message_inbox *inbox);

/* Remembers what another pod, a program or the HTTP API sent to a room that this pod carries (ptr
 * NULL: to everybody), for edits and marks of clients here. `json` is as clients get it. */
void message_remember(struct window *window, struct slice room, struct slice json);

/* bus_opts.on_message; `arg` is the inbox. */
void message_from_bus(void *arg, struct slice room, struct slice payload, bool trusted);

/* The inbox's tools, for what else the bus thread says to rooms. */
struct publish_tools message_inbox_tools(struct message_inbox *inbox);
