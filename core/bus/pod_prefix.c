/*
 * The recogniser is strict on purpose: what it takes for a pod's message goes to clients without
 * being parsed, so anything that a pod would not have written is left to the careful path.
 */
#include "core/bus/pod_prefix.h"

#include <ctype.h>

static const char opening[] = "{\"pod\":\"";

enum { OPENING_LEN = sizeof opening - 1 };

static bool is_id_char(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '_' || c == ':' || c == '-';
}

static size_t id_length(struct slice text)
{
    size_t len = 0;
    while (len < text.len && len <= POD_ID_MAX && is_id_char(text.ptr[len]))
        len++;
    return len;
}

struct pod_prefix pod_prefix_read(struct slice payload)
{
    struct pod_prefix foreign = {.origin = POD_ORIGIN_FOREIGN, .pod = SLICE_NONE};
    if (!slice_starts_with(payload, slice_of(opening, OPENING_LEN)))
        return foreign;
    struct slice rest = slice_skip(payload, OPENING_LEN);
    size_t len = id_length(rest);
    if (len == 0 || len > POD_ID_MAX || !slice_starts_with(slice_skip(rest, len), slice_str("\",")))
        return foreign;
    struct slice pod = slice_of(rest.ptr, len);
    rest = slice_skip(rest, len + 2);
    /* The shortest member there is: "":0} */
    if (rest.len < 5 || rest.ptr[0] != '"' || rest.ptr[rest.len - 1] != '}')
        return foreign;
    return (struct pod_prefix){
        .origin = POD_ORIGIN_OTHER,
        .pod = pod,
        .len = OPENING_LEN + len + 2,
    };
}

bool pod_prefix_is_own(struct slice payload, struct slice own)
{
    return payload.len > own.len && slice_starts_with(payload, own) &&
           (payload.ptr[own.len] == ',' || payload.ptr[own.len] == '}');
}
