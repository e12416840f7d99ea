#pragma once

/*
 * What each other pod said lately, as hashes, so that what it sends again after losing Redis (it
 * cannot know whether Redis took it) is not delivered twice.
 *
 * The last RECENT_PER_POD payloads of at most RECENT_PODS pods; beyond that the pod that was not
 * heard for longest is forgotten.
 *
 * Threads: the bus thread.
 * Owns: its table; nothing of what it is shown.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/slice.h"

enum {
    RECENT_PODS = 256,
    /* Twice what a pod has in flight at most (PUBLISHER_IN_FLIGHT_MAX). */
    RECENT_PER_POD = 2048,
};

struct recent {
    struct map pods;    /* id to struct recent_pod */
    struct list by_age; /* least recently heard first */
};

void recent_init(struct recent *recent);
void recent_fini(struct recent *recent);

/* Whether `pod` sent this very payload to this channel lately; if not, it is remembered. */
bool recent_is_repeat(struct recent *recent, struct slice pod, struct slice channel,
                      struct slice payload);
