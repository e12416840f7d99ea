#pragma once

/*
 * A real redis-server of a test's own: on a free port and a unix socket, in a scratch folder,
 * gone with the test process.
 *
 * Threads: the test's.
 * Owns: the process and the folder, until redis_server_fini.
 */

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/bus/redis_url.h"

struct redis_server {
    pid_t pid; /* 0 while it does not run */
    int port;
    char dir[64];
    char socket[96];
    const char *const *args; /* further arguments, NULL at the end, or NULL */
};

/* Chooses port and folder; does not start anything. */
bool redis_server_init(struct redis_server *server, const char *const *args);
/* Returns once it takes connections. */
bool redis_server_start(struct redis_server *server);
/* SIGKILL, and waits for the end. Harmless when it does not run. */
void redis_server_kill(struct redis_server *server);
void redis_server_pause(struct redis_server *server);
void redis_server_resume(struct redis_server *server);
void redis_server_fini(struct redis_server *server);

/* The URL over TCP; its strings belong to the server. */
struct redis_url redis_server_url(struct redis_server *server);

/* One command over a connection of its own, as redisCommand formats it; NULL when it failed. The
 * reply is freed by the caller. */
redisReply *redis_server_command(struct redis_server *server, const char *format, ...);
