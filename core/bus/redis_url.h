#pragma once

/*
 * REDIS_URL (CONTRACT: Redis): redis://[[user]:password@]host[:port][/db], percent-encoded, IPv6
 * literals in brackets, or unix:///path[?db=n].
 *
 * Threads: any; plain data.
 * Owns: its strings, until redis_url_fini.
 */

#include "core/base/err.h"
#include "core/base/slice.h"

struct redis_url {
    char *host;      /* NULL for a unix socket */
    int port;        /* 6379 when not given */
    char *unix_path; /* NULL for TCP */
    char *user;      /* NULL: the default user */
    char *password;  /* NULL: no AUTH */
    int db;          /* 0 when not given */
};

/* ERR_INVALID and a sentence in `*why` (a constant, never with the password in it); `url` is then
 * empty. rediss:// is refused with a word on a local TLS proxy such as stunnel. */
MUST_USE enum err redis_url_parse(const char *text, struct redis_url *url, const char **why);
void redis_url_fini(struct redis_url *url);
