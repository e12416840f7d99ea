#pragma once

/*
 * One connected TCP socket: non-blocking reads and writes with their outcomes mapped once, here.
 *
 * Threads: the loop that has it.
 * Owns: the descriptor, from conn_open's success until conn_close.
 */

#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/base/err.h"
#include "core/net/loop.h"

enum {
    /* What the kernel may hold for one client in either direction; it doubles that for its own
     * book-keeping. */
    CONN_SEND_BUFFER = 64 * 1024,
    CONN_RECEIVE_BUFFER = 128 * 1024,
    CONN_IOV_MAX = 64,
    CONN_SEND_FLAGS = MSG_NOSIGNAL | MSG_DONTWAIT,
};

struct conn {
    struct loop_source source; /* fd -1: not open */
};

/* Gives the socket small buffers: what a peer does not take, or has sent faster than it is read,
 * must not pile up by the megabyte. What a listener accepts inherits its bounds, so that no
 * connection needs a system call for it. */
void conn_bound_buffers(int fd);

/* Makes the socket TCP_NODELAY, and reads from it; that it does not block is said in each call.
 * Takes the descriptor, on failure too (ERR_SYSTEM: it is closed). */
MUST_USE enum err conn_open(struct conn *conn, struct loop *loop, int fd);

/*
 * ERR_OK: `*got` bytes, at least one. ERR_AGAIN: nothing now. ERR_CLOSED: the peer sends no more.
 * ERR_SYSTEM: reset or broken.
 */
MUST_USE enum err conn_read(struct conn *conn, void *bytes, size_t size, size_t *got);

/* ERR_OK: `*sent` bytes were taken, fewer than offered (even 0) when the socket is full.
 * ERR_SYSTEM: the peer is gone. */
MUST_USE enum err conn_write(struct conn *conn, const void *bytes, size_t len, size_t *sent);
MUST_USE enum err conn_write_gathered(struct conn *conn, const struct iovec *parts, int count,
                                      size_t *sent);

/* What conn_write says when the kernel said so many bytes, or minus an errno. */
MUST_USE enum err conn_judge_write(long result, size_t *sent);

/* Whether to read. A peer that is not read from is slowed down by TCP. */
void conn_want_read(struct conn *conn, struct loop *loop, bool wanted);

/* Whether to hear of room for writing. Idempotent, without a system call when nothing changes. */
void conn_want_write(struct conn *conn, struct loop *loop, bool wanted);

/* Sends FIN behind what was written; reading goes on. */
void conn_finish(struct conn *conn);

/* Out of the loop, then closed; harmless when not open. `reset` sends RST in place of FIN. */
void conn_close(struct conn *conn, struct loop *loop, bool reset);
