#pragma once

/*
 * Who may use the HTTP API (EVENTS: publishing and managing over HTTP): `Authorization: Bearer`
 * with API_KEY, or a token whose scope has `publish` or `admin`.
 *
 * Threads: libmicrohttpd's.
 */

#include <stdbool.h>

#include "handlers/reply.h"

struct request;
struct service;
struct user;

/* Whether anything is configured that lets somebody in. */
bool access_is_configured(const struct service *service);

/* Whether the request has the API key; then it is noted whose it is. */
bool access_has_key(struct request *request);
/* Whether the user (NULL: nobody) may use the API. */
bool access_has_scope(const struct user *user);

/* Judges the request's credentials; when they are good, notes in the request whose they are. */
struct refusal access_check(struct request *request);
