#pragma once

/*
 * GET /metrics: the text format of Prometheus. No name of a room or a client is a label.
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result metrics_answer(struct request *request);
