#pragma once

/*
 * UUIDs (RFC 9562): version 7 is made here, any version is taken.
 *
 * Threads: any; each thread draws from a generator of its own.
 */

#include <stdbool.h>

#include "core/base/slice.h"

enum { UUID_TEXT_LEN = 36, UUID_BYTES = 16 };

/* Writes 36 characters, lower case, no terminator. Later ones of one thread sort later. */
void uuid_make_v7(char *out);

/* Whether `text` is 8-4-4-4-12 hexadecimal digits, of any version and case. */
bool uuid_is_valid(struct slice text);

/* The 16 bytes that a valid UUID's text writes; texts that differ in case only are the same. */
void uuid_read(struct slice text, unsigned char out[UUID_BYTES]);

/* The text of such bytes, in lower case, without a terminator. */
void uuid_write(const unsigned char bytes[UUID_BYTES], char *out);
