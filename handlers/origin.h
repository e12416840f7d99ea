#pragma once

/*
 * Which web pages may connect: the Origin header (RFC 6454) against ALLOWED_ORIGINS.
 *
 * The list is comma-separated, blanks around an entry are nothing. An entry is
 *
 *     *                        every origin
 *     https://example.org      that scheme, host and port; 80 and 443 may be left out
 *     null                     what sandboxed pages and local files send
 *
 * and a host that begins with `*.` is every host below the rest, however deep, but not the rest
 * itself.
 *
 * Threads: any; nothing is kept.
 */

#include <stdbool.h>

#include "core/base/slice.h"

/* Whether every entry of the list is one of the forms above, and there is at least one. */
bool origin_list_is_valid(const char *allowed_list);

/* Whether `origin`, a header's value as it came, matches an entry. */
bool origin_is_allowed(const char *allowed_list, struct slice origin);
