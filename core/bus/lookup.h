#pragma once

/*
 * One name turned into addresses, on a short-lived thread of its own: getaddrinfo blocks for as
 * long as the name servers please, and meanwhile the bus thread has waiters to let go.
 *
 * Threads: the bus thread. The lookup's own thread only fills it in and wakes the bus.
 * Owns: its memory, counted, so that a bus may end while a name server still sleeps.
 */

#include <stdbool.h>

struct lookup;

/* Writes to (its own duplicate of) the eventfd `wake_fd` when done. NULL when there is no thread
 * or no descriptor to be had. */
struct lookup *lookup_start(const char *host, int wake_fd);

bool lookup_is_done(const struct lookup *lookup);

/* The address to try at the n-th attempt, going through all there are, IPv4 first; NULL when the
 * name has none. The lookup is done. */
const char *lookup_get_address(const struct lookup *lookup, unsigned attempt);

/* Why there is no address; a constant. */
const char *lookup_get_error(const struct lookup *lookup);

/* Takes NULL. Done or not. */
void lookup_release(struct lookup *lookup);
