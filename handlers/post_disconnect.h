#pragma once

/*
 * POST /api/chat-api/users/{user}/disconnect: closes the user's clients on every pod.
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result post_disconnect_answer(struct request *request);
