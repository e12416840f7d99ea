#pragma once

/*
 * The program as a whole: its parts in the order of start, and in reverse the order of stop.
 *
 *     start: hub ─▶ bus ─▶ HTTP        stop: no new clients ─▶ clients closed with 1001 ─▶ outbox
 *                                            sent ─▶ bus ─▶ HTTP ─▶ hub
 *
 * Threads: main.
 */

#include "core/base/err.h"

struct config;

enum { APP_BAD_CONFIG = 2 }; /* exit code: a variable, or a file that one names, is no good */

/*
 * Runs the service until SIGTERM or SIGINT and returns the process' exit code: 0 after an orderly
 * stop, 1 when it could not start (a log line says why), APP_BAD_CONFIG (a line on standard error
 * does). A second signal ends the process at once.
 */
int app_run(const struct config *config);
