/*
 * Input: a list of allowed origins, a newline, the value of an Origin header. What must hold for
 * every pair: judging twice gives the same, letters' case changes nothing, a longer list allows no
 * less, and an origin that is an entry as it stands is allowed by that entry.
 */
#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "core/base/buf.h"
#include "handlers/origin.h"

enum { LONGEST_INPUT = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool with_case(const char *list, struct slice origin, int (*change)(int))
{
    char changed[LONGEST_INPUT];
    for (size_t i = 0; i < origin.len; i++)
        changed[i] = (char)change((unsigned char)origin.ptr[i]);
    return origin_is_allowed(list, slice_of(changed, origin.len));
}

static void check(const char *list, struct slice origin)
{
    struct buf more;
    bool is_allowed = origin_is_allowed(list, origin);
    buf_init(&more, (size_t)4 * LONGEST_INPUT);
    buf_append_str(&more, list);
    buf_append_str(&more, ",https://other.example");
    buf_append_char(&more, '\0');
    assert(!is_allowed || origin_is_allowed(more.ptr, origin));
    if (!slice_equals_str(origin, "null"))
        assert(with_case(list, origin, tolower) == with_case(list, origin, toupper) ||
               strstr(list, "null") != NULL);
    buf_clear(&more);
    buf_append_slice(&more, origin);
    buf_append_char(&more, '\0');
    bool is_plain = memchr(more.ptr, ',', more.len) == NULL && strlen(more.ptr) == origin.len;
    if (is_plain && origin_list_is_valid(more.ptr) && strstr(more.ptr, "*.") == NULL)
        assert(isblank((unsigned char)*more.ptr) || origin_is_allowed(more.ptr, origin) ||
               isblank((unsigned char)more.ptr[origin.len - 1]));
    buf_fini(&more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size <= LONGEST_INPUT ? memchr(data, '\n', size) : NULL;
    if (end == NULL)
        return 0;
    char list[LONGEST_INPUT + 1];
    size_t list_len = (size_t)(end - data);
    memcpy(list, data, list_len);
    list[list_len] = '\0';
    (void)origin_list_is_valid(list);
    check(list, slice_of(end + 1, size - list_len - 1));
    return 0;
}
