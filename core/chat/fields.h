#pragma once

/*
 * Members of a JSON object by name, as the very bytes that came: for the `data` of events, which is
 * small and was found to be strict JSON already (envelope.h).
 *
 *     struct field fields[] = {{.name = "id"}, {.name = "data"}};
 *     if (fields_read(envelope->data, fields, 2) != ERR_OK) …
 *
 * Of a member that comes twice, the last one counts.
 *
 * Threads: any; nothing is kept.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"
#include "core/base/slice.h"

enum field_kind {
    FIELD_ABSENT,
    FIELD_NULL,
    FIELD_BOOL,
    FIELD_NUMBER,
    FIELD_STRING,
    FIELD_ARRAY,
    FIELD_OBJECT,
};

enum { FIELD_TEXT_MAX = 256 };

struct field {
    const char *name; /* the caller's */
    enum field_kind kind;
    bool truth;       /* of a FIELD_BOOL */
    struct slice raw; /* JSON in the input */
    size_t text_len;  /* of a FIELD_STRING, decoded; what is over FIELD_TEXT_MAX is not in `text` */
    char text[FIELD_TEXT_MAX];
};

/* The string's text; only when it has FIELD_TEXT_MAX bytes at most. */
static inline struct slice field_text(const struct field *field)
{
    return slice_of(field->text, field->text_len);
}

/* ERR_INVALID: not an object. ERR_NOMEM. */
MUST_USE enum err fields_read(struct slice json, struct field *fields, size_t count);

/* Calls `each` for every element of an array, in order, until it returns false. ERR_INVALID: not an
 * array, or `each` said so. ERR_NOMEM. */
MUST_USE enum err fields_read_array(struct slice json,
                                    bool (*each)(void *arg, const struct field *element),
                                    void *arg);
