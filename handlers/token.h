#pragma once

/*
 * The token of a request: where it stands, and whose it is (EVENTS: tokens).
 *
 * Threads: libmicrohttpd's; token_check_text: any.
 */

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/slice.h"
#include "handlers/reply.h"

struct request;
struct service;
struct user;

/* In front of a token among the subprotocols, for browsers can set no other header. */
#define TOKEN_PROTOCOL_PREFIX "bearer."

/* The token of an Authorization header; ptr NULL when that is of another scheme. */
struct slice token_of_authorization(struct slice header);

/* The first entry of Sec-WebSocket-Protocol that is a token, without its prefix; ptr NULL: none. */
struct slice token_of_protocols(struct slice header);

/* The first token that the request has: in Authorization, Sec-WebSocket-Protocol, or `?token=`; ptr
 * NULL: none. It stands in `scratch`. */
struct slice token_find(const struct request *request, struct buf *scratch);

/*
 * Whose token it is, with a count for the caller; counted and logged when it is not good, or not
 * the one of `same` (NULL: anybody's will do). A fault says why, never what the token was. Only
 * with authentication on.
 */
MUST_USE enum err token_check_text(struct service *service, struct slice token,
                                   const struct user *same, struct user **out, struct fault *fault);

/* Asks the request for its token, and notes in it whose that is: nobody's when authentication is
 * off. A refusal says why, never what the token was. */
struct refusal token_check(struct request *request);
