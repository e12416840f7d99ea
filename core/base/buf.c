#include "core/base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/mem.h"

enum { FIRST_CAPACITY = 256 };

void buf_init(struct buf *buf, size_t max_bytes)
{
    *buf = (struct buf){.max = max_bytes};
}

void buf_fini(struct buf *buf)
{
    mem_free(buf->ptr);
    *buf = (struct buf){.max = buf->max};
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->err = ERR_OK;
}

enum err buf_reserve(struct buf *buf, size_t more)
{
    if (buf->err != ERR_OK)
        return buf->err;
    if (more > buf->max - buf->len)
        return buf->err = ERR_FULL;
    size_t need = buf->len + more;
    if (need <= buf->cap)
        return ERR_OK;
    size_t cap = buf->cap;
    if (cap == 0)
        cap = buf->max < FIRST_CAPACITY ? buf->max : FIRST_CAPACITY;
    while (cap < need)
        cap = cap > buf->max / 2 ? buf->max : cap * 2;
    char *grown = mem_try_resize(buf->ptr, cap, 1);
    if (grown == NULL)
        return buf->err = ERR_NOMEM;
    buf->ptr = grown;
    buf->cap = cap;
    return ERR_OK;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* Every format here is ours and short; longer text goes through buf_append_str. */
    if (len < 0 || (size_t)len >= sizeof text)
        buf->err = ERR_FULL;
    else
        buf_append(buf, text, (size_t)len);
}

char *buf_take(struct buf *buf)
{
    char *ptr = buf->ptr;
    *buf = (struct buf){.max = buf->max};
    return ptr;
}
