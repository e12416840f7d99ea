#include "core/auth/base64url.h"

#include <stdint.h>

/* The six bits of a digit, or -1. */
static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

bool base64url_decode(struct slice text, unsigned char *out, size_t *len)
{
    uint32_t bits = 0;
    unsigned have = 0;
    *len = 0;
    /* One digit alone has not even one byte. */
    if (text.len % 4 == 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int value = digit(text.ptr[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (unsigned)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[(*len)++] = (unsigned char)(bits >> have);
            bits &= (1U << have) - 1;
        }
    }
    return bits == 0;
}
