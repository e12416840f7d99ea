#pragma once

/*
 * A listening socket that says what a test tells it to, where a real Redis cannot be brought to.
 *
 * Threads: the test's; it has one of its own.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/bus/redis_url.h"

struct fake_redis;

/* Each connection gets, in turn, one line of `replies` (NULL at the end) for each piece of input
 * that comes; after the last one nothing more. A line is sent as it stands. NULL on failure. */
struct fake_redis *fake_redis_start(const char *const *replies);
void fake_redis_stop(struct fake_redis *fake);

struct redis_url fake_redis_url(const struct fake_redis *fake);

/* Whether so many connections came before the deadline. */
bool fake_redis_await_connections(struct fake_redis *fake, unsigned count, uint64_t deadline_ms);
