#include "core/base/utf8.h"

#include "core/base/octets.h"

static size_t ascii_run(const unsigned char *p, size_t len)
{
    size_t i = 0;
    while (i + 8 <= len && (octets_load(p + i) & OCTETS_NOT_ASCII) == 0)
        i += 8;
    while (i < len && p[i] < 0x80)
        i++;
    return i;
}

/* The well-formed byte sequences of the Unicode Standard, table 3-7. */
static bool begin(struct utf8_state *state, unsigned char octet)
{
    *state = (struct utf8_state){.low = 0x80, .high = 0xBF};
    if (octet >= 0xC2 && octet <= 0xDF) {
        state->need = 1;
    } else if ((octet & 0xF0) == 0xE0) {
        state->need = 2;
        if (octet == 0xE0)
            state->low = 0xA0;
        else if (octet == 0xED)
            state->high = 0x9F;
    } else if (octet >= 0xF0 && octet <= 0xF4) {
        state->need = 3;
        if (octet == 0xF0)
            state->low = 0x90;
        else if (octet == 0xF4)
            state->high = 0x8F;
    }
    return state->need != 0;
}

bool utf8_feed(struct utf8_state *state, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < len; i++) {
        if (state->need == 0) {
            i += ascii_run(p + i, len - i);
            if (i == len)
                break;
            if (!begin(state, p[i]))
                return false;
            continue;
        }
        if (p[i] < state->low || p[i] > state->high)
            return false;
        state->need--;
        state->low = 0x80;
        state->high = 0xBF;
    }
    return true;
}

bool utf8_is_valid(const void *bytes, size_t len)
{
    struct utf8_state state = {0};
    return utf8_feed(&state, bytes, len) && utf8_is_complete(&state);
}

bool utf8_has_control(const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < len; i++) {
        if (p[i] < 0x20 || p[i] == 0x7F)
            return true;
        if (p[i] == 0xC2 && i + 1 < len && p[i + 1] < 0xA0)
            return true;
    }
    return false;
}
