#pragma once

/*
 * Who wrote a payload that came from Redis, told by its first bytes (CONTRACT: Redis):
 *
 *     {"pod":"<pod id>","id":"…",…}
 *     └────── prefix ──┘└─ rest
 *
 * Pods write the prefix byte for byte like this, so nothing is parsed. Whatever looks otherwise was
 * written by some other program.
 *
 * Threads: any; plain bytes.
 */

#include "core/base/slice.h"

enum { POD_ID_MAX = 128 };

enum pod_origin {
    POD_ORIGIN_FOREIGN, /* no pod's prefix */
    POD_ORIGIN_OTHER,   /* another pod's message */
};

struct pod_prefix {
    enum pod_origin origin;
    struct slice pod; /* the id; SLICE_NONE when foreign */
    size_t len;       /* of the prefix, its comma included; 0 when foreign */
};

struct pod_prefix pod_prefix_read(struct slice payload);

/* Whether the payload bears the id in `own`, which is `{"pod":"<id>"`. */
bool pod_prefix_is_own(struct slice payload, struct slice own);
