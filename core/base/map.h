#pragma once

/*
 * Byte strings to pointers: a hash table with open addressing, hashed by SipHash-1-3 under a key
 * drawn once per process, so that nobody can choose names that collide.
 *
 * The key's bytes are not copied: they stand in the value (a room holds its name), and must not
 * change while the value is in the map.
 *
 * Threads: one at a time; who needs more puts a lock beside it.
 * Owns: its slots, not keys, not values.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

struct map_slot {
    struct slice key;
    void *value; /* NULL in an empty slot */
    uint64_t hash;
};

struct map {
    struct map_slot *slots;
    size_t count;
    size_t cap; /* a power of two, or 0 */
};

uint64_t map_hash(struct slice key);

void map_init(struct map *map);
void map_fini(struct map *map);

/* NULL when there is none. */
void *map_get(const struct map *map, struct slice key);

/* Adds a key that is not there yet. ERR_NOMEM leaves the map as it was. */
MUST_USE enum err map_add(struct map *map, struct slice key, void *value);

/* Removes and returns the value, NULL when there is none. The table shrinks as it empties. */
void *map_remove(struct map *map, struct slice key);

/*
 * Goes through all values: start with `*at` 0, NULL at the end. The map must not change meanwhile.
 *
 *     size_t at = 0;
 *     for (void *v; (v = map_next(&map, &at)) != NULL;)
 */
void *map_next(const struct map *map, size_t *at);
