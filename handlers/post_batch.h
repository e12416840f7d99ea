#pragma once

/*
 * POST /api/chat-api/batch: many messages, each as in POST /api/chat-api/messages. Each is judged
 * by itself, and the good ones are published in their order:
 *
 *     {"accepted":1,"rejected":1,"results":[{"status":"ok","id":…,"timestamp":…},
 *                                           {"status":"error","code":…,"message":…,"data":…}]}
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result post_batch_answer(struct request *request);
