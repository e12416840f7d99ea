#pragma once

/*
 * Borrowed bytes: a pointer and a length, with no terminator promised and nothing owned. The bytes
 * live as long as whoever lent them says.
 */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *ptr; /* NULL only when there is no value at all; an empty value has a pointer */
    size_t len;      /* bytes */
};

#define SLICE_NONE ((struct slice){.ptr = NULL, .len = 0})

static inline struct slice slice_of(const void *ptr, size_t len)
{
    return (struct slice){.ptr = ptr, .len = len};
}

static inline struct slice slice_str(const char *text)
{
    return (struct slice){.ptr = text, .len = text != NULL ? strlen(text) : 0};
}

/* A slice of a literal, for tables. */
#define SLICE_LITERAL(text)                                                                        \
    {                                                                                              \
        .ptr = (text), .len = sizeof(text) - 1                                                     \
    }

static inline bool slice_equals(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_equals_str(struct slice a, const char *text)
{
    return slice_equals(a, slice_str(text));
}

static inline bool slice_starts_with(struct slice a, struct slice prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

/* What is left of `a` after its first `count` bytes, of which it has at least as many. */
static inline struct slice slice_skip(struct slice a, size_t count)
{
    return (struct slice){.ptr = a.ptr + count, .len = a.len - count};
}

/* Without the spaces and tabs at both ends, which are no part of a header's value (RFC 9110 5.5) or
 * of an entry in a list. */
static inline struct slice slice_trim(struct slice a)
{
    while (a.len != 0 && (a.ptr[0] == ' ' || a.ptr[0] == '\t'))
        a = slice_skip(a, 1);
    while (a.len != 0 && (a.ptr[a.len - 1] == ' ' || a.ptr[a.len - 1] == '\t'))
        a.len--;
    return a;
}
