#pragma once

/*
 * GET /api/chat-api/ws/stats (CONTRACT: statistics).
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result stats_answer(struct request *request);
