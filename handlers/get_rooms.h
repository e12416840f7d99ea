#pragma once

/*
 * GET /api/chat-api/rooms?prefix=&limit=&cursor=: the rooms of all pods, with their members.
 *
 *     {"rooms":[{"room":"lobby","members":3}],"cursor":null,"pods":2,"complete":true}
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result get_rooms_answer(struct request *request);

/* The request is over: frees what was gathered for it. */
void get_rooms_forget(struct request *request);
