#pragma once

/*
 * The files that the binary carries: the chat page, the docs pages, openapi.json, asyncapi.json.
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>

struct request;

enum MHD_Result page_answer(struct request *request);
