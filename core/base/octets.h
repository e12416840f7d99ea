#pragma once

/*
 * Eight octets of a text at once, in a word whose lowest octet is the first one. What is looked for
 * comes back as the high bits of the octets that have it; a bit above the lowest one may be wrong.
 *
 * Threads: any.
 */

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OCTETS(octet)    (UINT64_C(0x0101010101010101) * (octet))
#define OCTETS_NOT_ASCII OCTETS(0x80)

static inline uint64_t octets_load(const void *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return le64toh(word);
}

static inline void octets_store(void *at, uint64_t word)
{
    word = htole64(word);
    memcpy(at, &word, sizeof word);
}

/* `limit` is 128 at most. */
static inline uint64_t octets_below(uint64_t word, unsigned limit)
{
    return (word - OCTETS(limit)) & ~word & OCTETS(0x80);
}

static inline uint64_t octets_equal(uint64_t word, unsigned char octet)
{
    return octets_below(word ^ OCTETS(octet), 1);
}

/* Which one the lowest bit stands for; there is one. */
static inline size_t octets_first(uint64_t found)
{
    return (size_t)__builtin_ctzll(found) / 8;
}
