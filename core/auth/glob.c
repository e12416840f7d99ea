/*
 * The parts between the stars are looked for one after the other, each at its first place: an
 * earlier match leaves all that a later one would leave, so nothing is ever tried again.
 */
#include "core/auth/glob.h"

/* The part of the pattern up to its first star, without it; all of it when there is none. */
static struct slice first_part(struct slice pattern)
{
    const char *star = pattern.len != 0 ? memchr(pattern.ptr, '*', pattern.len) : NULL;
    return star != NULL ? slice_of(pattern.ptr, (size_t)(star - pattern.ptr)) : pattern;
}

static bool ends_with(struct slice text, struct slice end)
{
    return text.len >= end.len && slice_equals(slice_skip(text, text.len - end.len), end);
}

/* Skips the text through the first place of `part`; false when there is none. */
static bool skip_through(struct slice *text, struct slice part)
{
    if (part.len == 0)
        return true;
    if (text->len < part.len)
        return false;
    const char *found = memmem(text->ptr, text->len, part.ptr, part.len);
    if (found == NULL)
        return false;
    *text = slice_skip(*text, (size_t)(found - text->ptr) + part.len);
    return true;
}

bool glob_matches(struct slice pattern, struct slice text)
{
    struct slice part = first_part(pattern);
    if (part.len == pattern.len)
        return slice_equals(pattern, text);
    if (!slice_starts_with(text, part))
        return false;
    text = slice_skip(text, part.len);
    pattern = slice_skip(pattern, part.len + 1);
    while ((part = first_part(pattern)).len != pattern.len) {
        if (!skip_through(&text, part))
            return false;
        pattern = slice_skip(pattern, part.len + 1);
    }
    return ends_with(text, part);
}
