#pragma once

/*
 * Clients that have more waiting than their sockets take.
 *
 * Threads: the test's own.
 */

#include <stddef.h>
#include <stdint.h>

#include "tests/support/chat_peer.h"

/* A message to the lobby whose frame has so many bytes, filled with `fill`. */
void chat_publish_len(struct chat *chat, size_t frame_len, char fill);
/* How many messages wait for the peer's client, on loop 0. */
uint32_t chat_queued(struct chat *chat, struct peer *peer);
/* Publishes until the socket takes no more; returns how many messages that were. */
int chat_fill_socket(struct chat *chat, struct peer *peer);
