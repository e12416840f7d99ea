#pragma once

/*
 * A growing run of bytes with a maximum given at birth.
 *
 *     ptr ▸ ██████████████░░░░░░░░        len is filled, cap is had, max may never be passed
 *
 * The first failure sticks: once an append did not fit or found no memory, `err` says which, later
 * appends do nothing, and the caller asks once at the end. What was there before stays intact.
 *
 * Threads: one at a time.
 * Owns: the memory, until buf_fini or buf_take.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max;
    enum err err; /* ERR_OK, ERR_FULL or ERR_NOMEM */
};

void buf_init(struct buf *buf, size_t max_bytes);
void buf_fini(struct buf *buf);

/* Forgets contents and error, keeps the memory. */
void buf_clear(struct buf *buf);

/* Makes room for `more` bytes behind the contents; what failure leaves is in `buf->err`. */
enum err buf_reserve(struct buf *buf, size_t more);

/* In the header, so that a literal's length is known where it is appended: most messages are made
 * of those. */
static inline void buf_append(struct buf *buf, const void *bytes, size_t len)
{
    size_t bound = buf->cap < buf->max ? buf->cap : buf->max;
    bool fits = buf->err == ERR_OK && len <= bound - buf->len;
    if (len == 0 || (!fits && buf_reserve(buf, len) != ERR_OK))
        return;
    memcpy(buf->ptr + buf->len, bytes, len);
    buf->len += len;
}

static inline void buf_append_str(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

static inline void buf_append_slice(struct buf *buf, struct slice bytes)
{
    buf_append(buf, bytes.ptr, bytes.len);
}

static inline void buf_append_char(struct buf *buf, char c)
{
    buf_append(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->ptr, buf->len);
}

/* The memory is the caller's from here on (mem_free), NULL when nothing was appended. */
char *buf_take(struct buf *buf);
