#include "tests/bench/load/stamp.h"

#include <string.h>

#define TIME_MASK ((UINT64_C(1) << 48) - 1)
#define ALL_A     UINT64_C(0x6161616161616161)

static const char marker[] = "\"s\":\"";

enum { MARKER_LEN = sizeof marker - 1, WORD = 8 };

static void write_word(char *letters, uint32_t value)
{
    for (int i = WORD - 1; i >= 0; i--, value >>= 4)
        letters[i] = (char)('a' + (value & 15));
}

/* Eight letters at once: the nibbles of neighbours are pushed together, three times. */
static uint32_t read_word(const char *letters)
{
    uint64_t word;
    memcpy(&word, letters, sizeof word);
    word = __builtin_bswap64(word) - ALL_A;
    word = (word | word >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    word = (word | word >> 8) & UINT64_C(0x0000ffff0000ffff);
    return (uint32_t)(word | word >> 16);
}

void stamp_write(char letters[STAMP_LETTERS], const struct stamp *stamp)
{
    uint64_t time = stamp->time_ns & TIME_MASK;
    write_word(letters, stamp->number);
    write_word(letters + WORD, (uint32_t)stamp->sender << 16 | (uint32_t)(time >> 32));
    write_word(letters + 2 * WORD, (uint32_t)time);
}

bool stamp_find(const char *text, size_t len, size_t *hint, struct stamp *stamp)
{
    const char *at = text + *hint;
    if (*hint + MARKER_LEN + STAMP_LETTERS > len || memcmp(at, marker, MARKER_LEN) != 0) {
        at = memmem(text, len, marker, MARKER_LEN);
        if (at == NULL || (size_t)(text + len - at) < MARKER_LEN + STAMP_LETTERS)
            return false;
        *hint = (size_t)(at - text);
    }
    at += MARKER_LEN;
    uint32_t middle = read_word(at + WORD);
    stamp->number = read_word(at);
    stamp->sender = (uint16_t)(middle >> 16);
    stamp->time_ns = (uint64_t)(middle & 0xffff) << 32 | read_word(at + 2 * WORD);
    return true;
}

uint64_t stamp_age_ns(const struct stamp *stamp, uint64_t now_ns)
{
    return (now_ns - stamp->time_ns) & TIME_MASK;
}
