#pragma once

/*
 * Who may use the HTTP API (EVENTS: publishing and managing over HTTP): `Authorization: Bearer`
 * with API_KEY.
 *
 * Threads: libmicrohttpd's.
 */

#include <stdbool.h>

#include "handlers/reply.h"

struct request;
struct service;

/* Whether anything is configured that lets somebody in. */
bool access_is_configured(const struct service *service);

/* Judges the request's credentials; when they are good, notes in the request whose they are. */
struct refusal access_check(struct request *request);
