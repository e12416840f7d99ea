#pragma once

/*
 * Writing JSON text. (core/chat/json_read reads it.)
 *
 * Threads: any.
 */

#include "core/base/buf.h"
#include "core/base/slice.h"

/*
 * Appends `text` (valid UTF-8) as a JSON string with its quotes; what RFC 8259 7 wants escaped is
 * escaped, nothing else. Octets that are no valid UTF-8 become U+FFFD, so that the output is always
 * JSON.
 */
void json_append_string(struct buf *buf, struct slice text);
