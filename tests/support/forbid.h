#pragma once

/*
 * Takes a system call away, as container runtimes do (seccomp).
 *
 * Threads: it holds for the calling thread and for those that it starts from then on, and can't be
 * taken back: call it from a thread of the test's own.
 */

/* From now on the system call fails with this errno. */
void forbid_call(long number, int error);

/* Runs it on such a thread of its own, in which nothing is forbidden yet, and waits for its end. */
void forbid_on_thread(void (*run)(void *arg), void *arg);
