#pragma once

/*
 * SHA-256 of some texts together, and the comparison of two digests in constant time: what is
 * secret is compared by its digest, so that neither its length nor a common beginning shows.
 *
 * Threads: any; plain values.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/slice.h"

enum { DIGEST_SIZE = 32 };

struct digest {
    unsigned char bytes[DIGEST_SIZE];
};

/* Of the texts one behind the other, each with its length in front, so that ("ab","c") and
 * ("a","bc") are different. */
struct digest digest_of(const struct slice *texts, size_t count);

/* In constant time. */
bool digest_equals(const struct digest *a, const struct digest *b);
