/*
 * Version 7 with 12 bits of counter in rand_a (RFC 9562 6.2 method 1): the counter starts at a
 * random value below half and counts up within a millisecond; when it would wrap, the time runs
 * one millisecond ahead. Random bits are taken from the kernel in bulk.
 */
#include "core/base/uuid.h"

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/clock.h"
#include "core/base/octets.h"

enum { POOL_BYTES = 1024, TAKE_BYTES = 10 };

struct generator {
    uint64_t last_ms;
    unsigned counter; /* 12 bits */
    size_t used;      /* bytes of the pool */
    unsigned char pool[POOL_BYTES];
};

static _Thread_local struct generator generator = {.used = POOL_BYTES};

static const unsigned char *draw(struct generator *g)
{
    if (g->used + TAKE_BYTES > POOL_BYTES) {
        size_t have = 0;
        while (have < POOL_BYTES) {
            ssize_t got = getrandom(g->pool + have, POOL_BYTES - have, 0);
            if (got > 0)
                have += (size_t)got;
        }
        g->used = 0;
    }
    const unsigned char *bytes = g->pool + g->used;
    g->used += TAKE_BYTES;
    return bytes;
}

static void tick(struct generator *g, const unsigned char *seed)
{
    uint64_t now = clock_wall_ms();
    if (now > g->last_ms) {
        g->last_ms = now;
        g->counter = ((unsigned)seed[8] << 3 | seed[9] >> 5) & 0x7FF;
        return;
    }
    g->counter++;
    if (g->counter > 0xFFF) {
        g->last_ms++;
        g->counter = 0;
    }
}

void uuid_make_v7(char *out)
{
    struct generator *g = &generator;
    const unsigned char *seed = draw(g);
    tick(g, seed);

    unsigned char raw[UUID_BYTES];
    for (int i = 0; i < 6; i++)
        raw[i] = (unsigned char)(g->last_ms >> (40 - 8 * i));
    raw[6] = (unsigned char)(0x70 | g->counter >> 8);
    raw[7] = (unsigned char)g->counter;
    memcpy(raw + 8, seed, 8);
    raw[8] = (unsigned char)((raw[8] & 0x3F) | 0x80);
    uuid_write(raw, out);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool uuid_is_valid(struct slice text)
{
    if (text.len != UUID_TEXT_LEN)
        return false;
    for (size_t i = 0; i < UUID_TEXT_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.ptr[i] != '-' : !is_hex(text.ptr[i]))
            return false;
    }
    return true;
}

/*
 * The digits without their dashes, eight at a time in a word: a loop over single ones would be a
 * tenth of what a message costs, and a branch for each no processor can guess.
 */
enum { DIGITS = 2 * UUID_BYTES, WORD_DIGITS = 8 };

#define PAIRS(pair) (UINT64_C(0x0001000100010001) * (pair))

/* The values of eight digits: '0' to '9' are 0x30 to 0x39, letters begin at 0x41 or 0x61. */
static uint64_t digit_values(uint64_t digits)
{
    return (digits & OCTETS(0x0F)) + 9 * (digits >> 6 & OCTETS(1));
}

static uint64_t values_digits(uint64_t values)
{
    uint64_t letters = (values + OCTETS(6)) >> 4 & OCTETS(1);
    return values + OCTETS('0') + letters * ('a' - '9' - 1);
}

void uuid_read(struct slice text, unsigned char out[UUID_BYTES])
{
    char digits[DIGITS];
    memcpy(digits, text.ptr, 8);
    memcpy(digits + 8, text.ptr + 9, 4);
    memcpy(digits + 12, text.ptr + 14, 4);
    memcpy(digits + 16, text.ptr + 19, 4);
    memcpy(digits + 20, text.ptr + 24, 12);
    for (int i = 0; i < DIGITS / WORD_DIGITS; i++) {
        uint64_t word = digit_values(octets_load(digits + WORD_DIGITS * i));
        word = (word << 4 | word >> 8) & PAIRS(0xFF);
        word = (word | word >> 8) & UINT64_C(0x0000FFFF0000FFFF);
        uint32_t bytes = htole32((uint32_t)(word | word >> 16));
        memcpy(out + sizeof bytes * (size_t)i, &bytes, sizeof bytes);
    }
}

void uuid_write(const unsigned char bytes[UUID_BYTES], char *out)
{
    char digits[DIGITS];
    for (int i = 0; i < DIGITS / WORD_DIGITS; i++) {
        uint32_t half;
        memcpy(&half, bytes + sizeof half * (size_t)i, sizeof half);
        uint64_t word = le32toh(half);
        word = (word | word << 16) & UINT64_C(0x0000FFFF0000FFFF);
        word = (word | word << 8) & PAIRS(0xFF);
        word = (word >> 4 & PAIRS(0x0F)) | (word & PAIRS(0x0F)) << 8;
        octets_store(digits + WORD_DIGITS * i, values_digits(word));
    }
    memcpy(out, digits, 8);
    memcpy(out + 9, digits + 8, 4);
    memcpy(out + 14, digits + 12, 4);
    memcpy(out + 19, digits + 16, 4);
    memcpy(out + 24, digits + 20, 12);
    out[8] = out[13] = out[18] = out[23] = '-';
}
