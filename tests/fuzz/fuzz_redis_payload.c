/*
 * The recogniser of payloads. A regular expression says what a pod's prefix is; and what is a JSON
 * object with the prefix is the same object without its first member once the prefix is cut, which
 * is what lets it go to clients unparsed.
 */
#include <jansson.h>
#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/bus/pod_prefix.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* The prefix and the beginning of the next member; its end is looked at apart, for a payload may
 * hold NUL. */
static bool model_is_pods(struct slice payload)
{
    static regex_t regex;
    static bool compiled;
    char start[160] = "";
    if (!compiled)
        must(regcomp(&regex, "^[{]\"pod\":\"[A-Za-z0-9._:-]{1,128}\",\"", REG_EXTENDED) == 0);
    compiled = true;
    regmatch_t match;
    memcpy(start, payload.ptr, payload.len < sizeof start ? payload.len : sizeof start - 1);
    if (regexec(&regex, start, 1, &match, 0) != 0)
        return false;
    return payload.len >= (size_t)match.rm_eo + 4 && payload.ptr[payload.len - 1] == '}';
}

static void check_shape(struct slice payload, const struct pod_prefix *prefix)
{
    const char *bytes = payload.ptr;
    must(prefix->pod.len >= 1 && prefix->pod.len <= POD_ID_MAX);
    must(prefix->len == prefix->pod.len + 10 && prefix->len < payload.len);
    must(bytes[prefix->len - 1] == ',' && bytes[prefix->len] == '"');
    /* Nothing in the id could end the string early. */
    must(memchr(prefix->pod.ptr, '"', prefix->pod.len) == NULL);
    must(memchr(prefix->pod.ptr, '\\', prefix->pod.len) == NULL);
}

/* As the subscriber cuts it. */
static void check_cut(struct slice payload, const struct pod_prefix *prefix)
{
    size_t flags = JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES;
    json_t *with = json_loadb(payload.ptr, payload.len, flags, NULL);
    struct buf rest;
    if (with == NULL)
        return;
    buf_init(&rest, payload.len);
    buf_append_char(&rest, '{');
    buf_append_slice(&rest, slice_skip(payload, prefix->len));
    json_t *without = json_loadb(rest.ptr, rest.len, flags, NULL);
    const char *pod = json_string_value(json_object_get(with, "pod"));
    must(pod != NULL && slice_equals_str(prefix->pod, pod));
    must(json_object_del(with, "pod") == 0 && json_equal(with, without));
    json_decref(with);
    json_decref(without);
    buf_fini(&rest);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice payload = slice_of(data, size);
    struct pod_prefix prefix = pod_prefix_read(payload);
    bool is_own = pod_prefix_is_own(payload, slice_str("{\"pod\":\"me\""));
    must((prefix.origin == POD_ORIGIN_OTHER) == model_is_pods(payload));
    if (prefix.origin == POD_ORIGIN_FOREIGN) {
        must(prefix.len == 0 && prefix.pod.ptr == NULL);
        return 0;
    }
    must(is_own == slice_equals_str(prefix.pod, "me"));
    check_shape(payload, &prefix);
    check_cut(payload, &prefix);
    return 0;
}
