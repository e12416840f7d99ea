/* The recogniser of payloads: whatever it takes for a pod's message keeps the shape that it
 * promises, and is an object again once the prefix is cut. */
#include <stdlib.h>
#include <string.h>

#include "core/bus/pod_prefix.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice payload = slice_of(data, size);
    struct pod_prefix prefix = pod_prefix_read(payload);
    pod_prefix_is_own(payload, slice_str("{\"pod\":\"me\""));
    if (prefix.origin == POD_ORIGIN_FOREIGN) {
        must(prefix.len == 0 && prefix.pod.ptr == NULL);
        return 0;
    }
    must(prefix.pod.len >= 1 && prefix.pod.len <= POD_ID_MAX);
    must(prefix.len == prefix.pod.len + 10 && prefix.len < size);
    must(data[prefix.len - 1] == ',' && data[prefix.len] == '"' && data[size - 1] == '}');
    /* Nothing in the id could end the string early. */
    must(memchr(prefix.pod.ptr, '"', prefix.pod.len) == NULL);
    must(memchr(prefix.pod.ptr, '\\', prefix.pod.len) == NULL);
    return 0;
}
