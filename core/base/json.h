#pragma once

/*
 * Writing JSON text. (core/chat/json_read reads it.)
 *
 * Threads: any.
 */

#include "core/base/buf.h"
#include "core/base/octets.h"
#include "core/base/slice.h"

/* Of quotes, backslashes and control characters, which do not stand for themselves in a string. */
static inline uint64_t json_find_special(uint64_t word)
{
    return octets_below(word, ' ') | octets_equal(word, '"') | octets_equal(word, '\\');
}

/* The first of those, or the end. */
static inline const char *json_skip_plain(const char *at, const char *end)
{
    for (; end - at >= (ptrdiff_t)sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t found = json_find_special(octets_load(at));
        if (found != 0)
            return at + octets_first(found);
    }
    while (at < end && (unsigned char)*at >= ' ' && *at != '"' && *at != '\\')
        at++;
    return at;
}

/*
 * Appends `text` (valid UTF-8) as a JSON string with its quotes; what RFC 8259 7 wants escaped is
 * escaped, nothing else. Octets that are no valid UTF-8 become U+FFFD, so that the output is always
 * JSON.
 */
void json_append_string(struct buf *buf, struct slice text);
