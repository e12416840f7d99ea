#pragma once

/*
 * GET /healthz: the process lives. GET /readyz: it takes new clients (CONTRACT: HTTP routes).
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result health_answer_live(struct request *request);
enum MHD_Result health_answer_ready(struct request *request);
