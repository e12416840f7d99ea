#pragma once

/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing past U+10FFFF.
 *
 * Threads: any; a state belongs to whoever feeds it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What has been seen of a code point that is not complete yet; all zero at a boundary. */
struct utf8_state {
    uint8_t need;      /* continuation octets still missing */
    uint8_t low, high; /* bounds of the next octet, where `need` is not 0 */
};

/*
 * Takes the next piece of a text, which may be cut anywhere. False at the first octet that cannot
 * be part of valid UTF-8, in this piece or together with what came before (fails fast).
 */
bool utf8_feed(struct utf8_state *state, const void *bytes, size_t len);

/* Whether the text may end here. */
static inline bool utf8_is_complete(const struct utf8_state *state)
{
    return state->need == 0;
}

bool utf8_is_valid(const void *bytes, size_t len);

/* Whether valid UTF-8 holds a control character: U+0000-001F, U+007F, U+0080-009F. */
bool utf8_has_control(const void *bytes, size_t len);
