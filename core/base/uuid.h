#pragma once

/*
 * UUIDs (RFC 9562): version 7 is made here, any version is taken.
 *
 * Threads: any; each thread draws from a generator of its own.
 */

#include <stdbool.h>

#include "core/base/slice.h"

enum { UUID_TEXT_LEN = 36 };

/* Writes 36 characters, lower case, no terminator. Later ones of one thread sort later. */
void uuid_make_v7(char *out);

/* Whether `text` is 8-4-4-4-12 hexadecimal digits, of any version and case. */
bool uuid_is_valid(struct slice text);
