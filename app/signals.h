#pragma once

/*
 * SIGTERM and SIGINT, waited for by the main thread; the first asks for an orderly stop, the second
 * ends the process at once.
 *
 * Threads: main, and before any other thread is started.
 */

#include <stdbool.h>

/* Blocks the signals in this thread and those that it starts, and ignores SIGPIPE. */
void signals_prepare(void);

/* Waits at most `timeout_ms`; true when a stop was asked for. */
bool signals_wait(int timeout_ms);

/* From now on SIGTERM and SIGINT end the process at once. */
void signals_end_at_next(void);
