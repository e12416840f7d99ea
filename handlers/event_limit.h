#pragma once

/*
 * How often clients may say things: what is too often is refused, and who does not stop is shown
 * out.
 *
 * Threads: the client's loop.
 */

#include <stdbool.h>

struct event_call;

/* Whether the event is taken; else the client was told why not. There are limits (service.limits).
 */
bool event_limit_take(const struct event_call *call);
