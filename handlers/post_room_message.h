#pragma once

/*
 * POST /api/chat-api/rooms/{room}/messages: a message for the room's members on every pod.
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result post_room_message_answer(struct request *request);
