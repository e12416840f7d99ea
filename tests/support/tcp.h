#pragma once

/*
 * A TCP connection of the test with itself.
 *
 * Threads: any.
 * Owns: nothing; both descriptors are the caller's.
 */

enum { TCP_ROOM_DEFAULT = 0 };

/* `near` is as the server's accepted connections are (conn_bound_buffers); `far` takes about
 * `far_room` bytes that are not read. */
void tcp_connect(int *near, int *far, int far_room);

/* Closes it with RST. */
void tcp_reset(int fd);
