#pragma once

/*
 * DELETE /api/chat-api/rooms/{room}: every member on every pod is put out of it and told.
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result delete_room_answer(struct request *request);
