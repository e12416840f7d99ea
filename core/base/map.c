/*
 * Linear probing with backward-shift deletion: no tombstones, so a table that sees a million names
 * come and go is as quick as a new one. At most 3/4 full; shrinks below 1/8.
 */
#include "core/base/map.h"

#include <sys/random.h>
#include <unistd.h>

#include "core/base/mem.h"

enum { FIRST_CAPACITY = 16 };

static uint64_t hash_key[2];

/* Before main: a look-up need not ask whether it was done. */
__attribute__((constructor)) static void draw_hash_key(void)
{
    /* 16 bytes never come short and never block once the system is up (getrandom(2)). */
    if (getrandom(hash_key, sizeof hash_key, 0) != sizeof hash_key) {
        hash_key[0] = (uint64_t)getpid() * 0x9e3779b97f4a7c15u;
        hash_key[1] = (uint64_t)(uintptr_t)&hash_key ^ 0xff51afd7ed558ccdu;
    }
}

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = ROTL(v[1], 13) ^ v[0];
    v[0] = ROTL(v[0], 32);
    v[2] += v[3];
    v[3] = ROTL(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = ROTL(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = ROTL(v[1], 17) ^ v[2];
    v[2] = ROTL(v[2], 32);
}

uint64_t map_hash(struct slice key)
{
    uint64_t v[4] = {hash_key[0] ^ 0x736f6d6570736575u, hash_key[1] ^ 0x646f72616e646f6du,
                     hash_key[0] ^ 0x6c7967656e657261u, hash_key[1] ^ 0x7465646279746573u};
    uint64_t word;
    size_t whole = key.len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, key.ptr + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)key.len << 56;
    for (size_t i = whole; i < key.len; i++)
        word |= (uint64_t)(unsigned char)key.ptr[i] << (8 * (i - whole));
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_fini(struct map *map)
{
    mem_free(map->slots);
    *map = (struct map){0};
}

/* The slot of `key`, or the empty one where it would go. The table is never full. */
static struct map_slot *find(const struct map *map, struct slice key, uint64_t hash)
{
    size_t mask = map->cap - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_slot *slot = &map->slots[i];
        if (slot->value == NULL || (slot->hash == hash && slice_equals(slot->key, key)))
            return slot;
    }
}

void *map_get(const struct map *map, struct slice key)
{
    return map->cap == 0 ? NULL : find(map, key, map_hash(key))->value;
}

static enum err rehash(struct map *map, size_t cap)
{
    struct map old = *map;
    struct map_slot *slots = mem_try_resize(NULL, cap, sizeof *slots);
    if (slots == NULL)
        return ERR_NOMEM;
    memset(slots, 0, cap * sizeof *slots);
    map->slots = slots;
    map->cap = cap;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value != NULL)
            *find(map, old.slots[i].key, old.slots[i].hash) = old.slots[i];
    mem_free(old.slots);
    return ERR_OK;
}

enum err map_add(struct map *map, struct slice key, void *value)
{
    if ((map->count + 1) * 4 > map->cap * 3 &&
        rehash(map, map->cap != 0 ? map->cap * 2 : FIRST_CAPACITY) != ERR_OK)
        return ERR_NOMEM;
    uint64_t hash = map_hash(key);
    *find(map, key, hash) = (struct map_slot){.key = key, .value = value, .hash = hash};
    map->count++;
    return ERR_OK;
}

/* Moves later elements of the same run up into the gap, so that no search stops too early. */
static void close_gap(struct map *map, size_t gap)
{
    size_t mask = map->cap - 1;
    for (size_t i = (gap + 1) & mask; map->slots[i].value != NULL; i = (i + 1) & mask) {
        size_t home = map->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            map->slots[gap] = map->slots[i];
            gap = i;
        }
    }
    map->slots[gap].value = NULL;
}

void *map_remove(struct map *map, struct slice key)
{
    if (map->cap == 0)
        return NULL;
    struct map_slot *slot = find(map, key, map_hash(key));
    void *value = slot->value;
    if (value == NULL)
        return NULL;
    close_gap(map, (size_t)(slot - map->slots));
    map->count--;
    if (map->cap > FIRST_CAPACITY && map->count * 8 < map->cap) {
        /* Without memory for a smaller table the larger one serves on. */
        enum err ignored = rehash(map, map->cap / 2);
        (void)ignored;
    }
    return value;
}

void *map_next(const struct map *map, size_t *at)
{
    while (*at < map->cap) {
        void *value = map->slots[(*at)++].value;
        if (value != NULL)
            return value;
    }
    return NULL;
}
