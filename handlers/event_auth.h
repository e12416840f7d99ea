#pragma once

/*
 * A connection whose token comes to its end: auth:expiring says so ahead, auth:refresh carries on
 * with a new one (EVENTS: tokens).
 *
 * Threads: the client's loop.
 */

struct client;
struct event_call;

void event_auth_refresh(const struct event_call *call);

/* hub_opts.on_expiring. */
void event_auth_expiring(struct client *client);
