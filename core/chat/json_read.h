#pragma once

/*
 * Reading JSON one level deep: of an object each member, of an array each element, with the very
 * bytes that it has in the text. What is deeper is only checked.
 *
 *     {"id":"x","data":{"a":1.10}}  ─▶  id, a string, "x"    data, an object, {"a":1.10}
 *
 * Strict (RFC 8259): nothing behind the value, no control characters in strings, no other white
 * space than the four kinds; half surrogate pairs are looked for only on demand, and are told as
 * U+FFFD. Memory is needed only for escapes in what is told, and for more than 64 levels.
 *
 * Threads: any.
 */

#include <stdbool.h>

#include "core/base/err.h"
#include "core/base/slice.h"

enum {
    JSON_NAME_MAX = 128, /* bytes; members with a longer name are checked, and not told */
};

enum json_kind {
    JSON_IS_NULL,
    JSON_IS_BOOLEAN,
    JSON_IS_NUMBER,
    JSON_IS_STRING,
    JSON_IS_OBJECT,
    JSON_IS_ARRAY,
};

struct json_value {
    enum json_kind kind;
    struct slice text; /* of a string, escapes decoded; good for the callback */
    struct slice raw;  /* as it stands in the text that was read */
};

/* `name` is decoded and good for the callback; ptr NULL: an element of an array. */
typedef void json_each(void *arg, struct slice name, const struct json_value *value);

enum json_result {
    JSON_OK,
    JSON_MALFORMED,
    JSON_TOO_DEEP,
    JSON_NO_MEMORY,
};

/*
 * Reads a text that is valid UTF-8, at most `depth_max` levels deep. Values that stand in front of
 * a mistake are told nevertheless. `*kind` is what the text is as a whole, where it is JSON.
 */
MUST_USE enum json_result json_read(struct slice text, unsigned depth_max, json_each *each,
                                    void *arg, enum json_kind *kind);

/* Whether a \u escape in a JSON text names half of a surrogate pair without the other half (RFC
 * 8259 8.2). */
bool json_has_lone_surrogate(struct slice json);
