/*
 * Version 7 with 12 bits of counter in rand_a (RFC 9562 6.2 method 1): the counter starts at a
 * random value below half and counts up within a millisecond; when it would wrap, the time runs
 * one millisecond ahead. Random bits are taken from the kernel in bulk.
 */
#include "core/base/uuid.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/clock.h"

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
    static const char digits[] = "0123456789abcdef";
    struct generator *g = &generator;
    const unsigned char *seed = draw(g);
    tick(g, seed);

    unsigned char raw[16];
    for (int i = 0; i < 6; i++)
        raw[i] = (unsigned char)(g->last_ms >> (40 - 8 * i));
    raw[6] = (unsigned char)(0x70 | g->counter >> 8);
    raw[7] = (unsigned char)g->counter;
    memcpy(raw + 8, seed, 8);
    raw[8] = (unsigned char)((raw[8] & 0x3F) | 0x80);

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[raw[i] >> 4];
        *out++ = digits[raw[i] & 15];
    }
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

static unsigned hex_value(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

void uuid_read(struct slice text, unsigned char out[UUID_BYTES])
{
    size_t at = 0;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        at += text.ptr[at] == '-';
        out[i] = (unsigned char)(hex_value(text.ptr[at]) << 4 | hex_value(text.ptr[at + 1]));
        at += 2;
    }
}

void uuid_write(const unsigned char bytes[UUID_BYTES], char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
}
