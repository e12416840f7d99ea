#pragma once

/*
 * Publishing one message: POST /api/chat-api/messages for many rooms, for users wherever they are,
 * or for everybody; POST /api/chat-api/rooms/{room}/messages for the room's members on every pod.
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result post_message_answer(struct request *request);
enum MHD_Result post_room_message_answer(struct request *request);
