#pragma once

/*
 * POST /api/chat-api/rooms/{room}/activity: tells users that something happened in a room that they
 * are not connected to: a `channel:activity` in each one's own room.
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result post_activity_answer(struct request *request);
