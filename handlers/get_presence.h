#pragma once

/*
 * GET /api/chat-api/rooms/{room}/presence: who is in a room, on all pods.
 *
 * Threads: libmicrohttpd's; the list is made on the presence thread while the request sleeps.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result get_presence_answer(struct request *request);

/* The request is over. */
void get_presence_forget(struct request *request);
