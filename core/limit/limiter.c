#include "core/limit/limiter.h"

#include <assert.h>

#include "core/base/list.h"
#include "core/base/lock.h"
#include "core/base/map.h"
#include "core/base/mem.h"

enum { FORGET_AT_ONCE = 2 /* full buckets that one call forgets: more than it can add */ };

struct entry {
    struct list_link link; /* in its shard's list, longest untouched first */
    struct bucket bucket;
    size_t key_len;
    char key[];
};

struct limiter_shard {
    struct lock lock;
    struct map entries GUARDED_BY(lock);
    struct list order GUARDED_BY(lock);
};

struct limiter {
    struct limit limit;
    size_t max_per_shard;
    struct limiter_shard shards[LIMITER_SHARDS];
};

struct limiter *limiter_create(const struct limit *limit, size_t max_keys)
{
    struct limiter *limiter = mem_zalloc(sizeof *limiter);
    limiter->limit = *limit;
    limiter->max_per_shard = (max_keys + LIMITER_SHARDS - 1) / LIMITER_SHARDS;
    for (size_t i = 0; i < LIMITER_SHARDS; i++) {
        lock_init(&limiter->shards[i].lock);
        map_init(&limiter->shards[i].entries);
        list_init(&limiter->shards[i].order);
    }
    return limiter;
}

static struct slice key_of(const struct entry *entry)
{
    return slice_of(entry->key, entry->key_len);
}

static void forget_locked(struct limiter_shard *shard, struct entry *entry) REQUIRES(shard->lock)
{
    map_remove(&shard->entries, key_of(entry));
    list_remove(&entry->link);
    mem_free(entry);
}

static struct entry *oldest_locked(const struct limiter_shard *shard) REQUIRES(shard->lock)
{
    struct list_link *link = list_first(&shard->order);
    return link != NULL ? LIST_ENTRY(link, struct entry, link) : NULL;
}

/* False when there is none. */
static bool forget_oldest_locked(struct limiter_shard *shard) REQUIRES(shard->lock)
{
    struct entry *entry = oldest_locked(shard);
    if (entry == NULL)
        return false;
    forget_locked(shard, entry);
    return true;
}

void limiter_destroy(struct limiter *limiter)
{
    if (limiter == NULL)
        return;
    for (size_t i = 0; i < LIMITER_SHARDS; i++) {
        struct limiter_shard *shard = &limiter->shards[i];
        lock_acquire(&shard->lock);
        while (forget_oldest_locked(shard))
            continue;
        map_fini(&shard->entries);
        lock_release(&shard->lock);
        lock_fini(&shard->lock);
    }
    mem_free(limiter);
}

const struct limit *limiter_limit(const struct limiter *limiter)
{
    return &limiter->limit;
}

static void forget_full_locked(struct limiter_shard *shard, uint64_t now_ns) REQUIRES(shard->lock)
{
    struct entry *entry;
    for (int i = 0; i < FORGET_AT_ONCE && (entry = oldest_locked(shard)) != NULL; i++)
        if (bucket_is_full(&entry->bucket, now_ns))
            forget_locked(shard, entry);
}

/* NULL without memory. */
static struct entry *add_locked(struct limiter *limiter, struct limiter_shard *shard,
                                struct slice key) REQUIRES(shard->lock)
{
    if (shard->entries.count >= limiter->max_per_shard)
        forget_oldest_locked(shard);
    struct entry *entry = mem_try_alloc(sizeof *entry + key.len);
    if (entry == NULL)
        return NULL;
    *entry = (struct entry){.key_len = key.len};
    memcpy(entry->key, key.ptr, key.len);
    if (map_add(&shard->entries, key_of(entry), entry) != ERR_OK) {
        mem_free(entry);
        return NULL;
    }
    return entry;
}

/* The hash's upper bits: the map in the shard goes by the lower ones. */
static struct limiter_shard *shard_of(struct limiter *limiter, struct slice key)
{
    return &limiter->shards[map_hash(key) >> 60 & (LIMITER_SHARDS - 1)];
}

bool limiter_take(struct limiter *limiter, struct slice key, uint64_t now_ns,
                  uint64_t *retry_after_ms)
{
    bool taken = true;
    *retry_after_ms = 0;
    assert(key.len <= LIMITER_KEY_MAX);
    if (limit_is_off(&limiter->limit))
        return true;
    struct limiter_shard *shard = shard_of(limiter, key);
    lock_acquire(&shard->lock);
    struct entry *entry = map_get(&shard->entries, key);
    if (entry == NULL) {
        forget_full_locked(shard, now_ns);
        entry = add_locked(limiter, shard, key);
    }
    if (entry != NULL) {
        list_move_back(&shard->order, &entry->link);
        taken = bucket_take(&entry->bucket, &limiter->limit, now_ns, retry_after_ms);
    }
    lock_release(&shard->lock);
    return taken;
}

size_t limiter_count(struct limiter *limiter)
{
    size_t count = 0;
    for (size_t i = 0; i < LIMITER_SHARDS; i++) {
        lock_acquire(&limiter->shards[i].lock);
        count += limiter->shards[i].entries.count;
        lock_release(&limiter->shards[i].lock);
    }
    return count;
}
