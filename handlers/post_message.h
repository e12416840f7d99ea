#pragma once

/*
 * POST /api/chat-api/messages: a message for many rooms, for users wherever they are, or for
 * everybody.
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result post_message_answer(struct request *request);
