#pragma once

/* Asks a running service for /healthz, so that a container needs no other program for that.
 * Threads: main. */

struct config;

/* 0 when the service on this machine's `port` answers 200 within two seconds, else 1. */
int healthcheck_run(const struct config *config);
