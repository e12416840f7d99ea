#pragma once

/*
 * Which heads are refused because others could read them in another way: a proxy that finds a
 * request's end elsewhere, or another host in it, lets one client's bytes pass for the next
 * one's request (RFC 9112 11.2). libmicrohttpd takes them all.
 *
 *     GET / HTTP/1.1           framing_look sees each field,
 *     Host: a                  framing_judge all of them
 *     Host: b          ◀──     refused
 *
 * Threads: libmicrohttpd's.
 */

#include <microhttpd.h>
#include <stdbool.h>

#include "core/base/err.h"
#include "handlers/reply.h"

/* What the fields looked at so far have in common. */
struct framing {
    struct fault fault; /* the first rule that was broken; FAULT_NONE: none */
    unsigned hosts, lengths, codings;
};

/* `value` is where libmicrohttpd left it: in the line that it received, behind the name. */
void framing_look(struct framing *framing, const char *name, const char *value);

/* FAULT_NONE when the head means one thing. */
struct fault framing_judge(const struct framing *framing, bool is_http_1_1);

/* The refusal of a head that could mean two; the connection ends with it, as nobody knows where the
 * next request begins. */
struct refusal framing_check(struct MHD_Connection *connection, const char *version);
