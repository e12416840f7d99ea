#pragma once

/*
 * Sends to many sockets with one system call for each hundred or so, by io_uring: to a large room
 * that takes up to a sixth of the processor time away. Where the kernel has none or forbids it, as
 * most container runtimes do, there is no burst, and each send is a system call of its own.
 *
 *     burst_add … burst_add ─▶ burst_run ─▶ done, for each in the order they were added
 *
 * Threads: any creates it; the first one that runs it alone may run it from then on.
 * Owns: its ring; it borrows connections and bytes until burst_run returns.
 */

#include <stddef.h>

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/net/conn.h"

struct burst;

enum { BURST_MAX = 128 };

/* What conn_write would have said of the send. */
typedef void burst_done(void *arg, void *tag, enum err err, size_t sent);

/* NULL: there is none here, and errno says why. */
MUST_USE struct burst *burst_create(burst_done *done, void *arg);
/* Takes NULL. Any thread, once the one that ran it does so no more. */
void burst_destroy(struct burst *burst);

/* Runs the burst first when it is full. */
void burst_add(struct burst *burst, struct conn *conn, struct slice bytes, void *tag);

/* Nothing is under way when it returns. `done` may not add. A ring that fails is said in the log,
 * once; from then on each send is a system call of its own. */
void burst_run(struct burst *burst);
