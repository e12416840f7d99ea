#pragma once

/*
 * Writes base64url, which the service only reads. In a header, as fuzz targets are one file each.
 *
 * Threads: any.
 */

#include "core/base/buf.h"

/* Appends it without padding. */
static inline void base64url_append(struct buf *out, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (unsigned char)bytes.ptr[i];
        for (have += 8; have >= 6;) {
            have -= 6;
            buf_append_char(out, digits[bits >> have & 63]);
        }
        bits &= 63;
    }
    if (have != 0)
        buf_append_char(out, digits[bits << (6 - have) & 63]);
}
