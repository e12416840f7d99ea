#pragma once

/*
 * GET /api/chat-api/ws and the other upgrade routes (CONTRACT: the upgrade): all checks, the 101,
 * and the socket's way from libmicrohttpd to a loop.
 *
 * The client is admitted, and a member of its room, before the 101 is queued; and when it is the
 * first of its room on this pod, the 101 waits (BUS_AWAIT_MS at most) for the subscription at
 * Redis. So a message that is published once a client has its answer reaches that client, from
 * whichever pod.
 *
 * Threads: libmicrohttpd's; the waiter's callback: the bus thread.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result upgrade_answer(struct request *request);

/* The request is over: gives up a client whose socket was not handed over. */
void upgrade_forget(struct request *request);
