#pragma once

/*
 * The other pods as presence knows them. A pod's word counts as long as its lease, a key in Redis
 * that it renews; a pod that was away comes back under the next lease, so what others clean up
 * behind the old one never hits what it says now.
 *
 *     4f0c2a91d7 000003     the process (random digits), and the number of its lease
 *
 * What a pod says about a user under one lease takes the place of what it said under those before.
 *
 * Threads: the presence thread.
 * Owns: the leases; who refers to one holds a count.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/map.h"
#include "core/presence/record.h"

enum { LEASE_POD_LEN = 10 }; /* of LEASE_ID_LEN; the rest is the number */

struct lease {
    unsigned refs;
    bool is_known; /* its key was seen, or its pod heard */
    char id[LEASE_ID_LEN];
};

struct leases {
    struct map by_id;
};

void leases_init(struct leases *leases);
void leases_fini(struct leases *leases);

/* The lease of this name, with a count for the caller. */
struct lease *leases_get(struct leases *leases, struct slice id);
struct lease *lease_retain(struct lease *lease);
void leases_put(struct leases *leases, struct lease *lease);

/* The lease goes on under the next number. */
void leases_advance(struct leases *leases, struct lease *lease);

/* Whether both are of one pod, and `later` came after `lease`. */
bool lease_is_followed_by(const struct lease *lease, const struct lease *later);

static inline struct slice lease_id(const struct lease *lease)
{
    return slice_of(lease->id, sizeof lease->id);
}
