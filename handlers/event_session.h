#pragma once

/*
 * What a client and the service say about the connection itself (EVENTS: events).
 *
 * Threads: the client's loop.
 */

struct client;
struct event_call;

void event_ping(const struct event_call *call);

/* hub_opts.on_join; `arg` is the struct service. The first message to an events client. */
void event_hello(void *arg, struct client *client);
