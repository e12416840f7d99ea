#pragma once

/*
 * base64url as JWS has it (RFC 7515 2): RFC 4648 5 without padding, and strict. One text stands for
 * one run of bytes: no white space, no padding, and the bits that are left over are zero.
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/slice.h"

/* Room that the bytes of a text of this length need. */
static inline size_t base64url_decoded_max(size_t text_len)
{
    return text_len / 4 * 3 + 2;
}

/* Decodes into `out` (base64url_decoded_max bytes); false when the text breaks a rule. */
bool base64url_decode(struct slice text, unsigned char *out, size_t *len);
