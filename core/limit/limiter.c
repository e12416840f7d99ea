#include "core/limit/limiter.h"

#include <assert.h>
#include <stdatomic.h>

#include "core/base/list.h"
#include "core/base/lock.h"
#include "core/base/map.h"
#include "core/base/mem.h"

enum {
    FORGET_AT_ONCE = 2, /* full buckets that one call forgets: more than it can add */
    SHARERS_MAX = 8,    /* more seldom serve the same user at once, and each would get little */
    UNTOLD_PARTS = 40,  /* of a limit: one of them may be taken before others are told */
};

struct entry {
    struct list_link link;       /* in its shard's list, longest untouched first */
    struct list_link spent_link; /* in its shard's spent, when there is enough to tell */
    struct bucket bucket;
    uint32_t untold; /* tokens taken here since that was last told, or the bucket was full */
    uint32_t key_len;
    char key[];
};

struct limiter_shard {
    struct lock lock;
    struct map entries GUARDED_BY(lock);
    struct list order GUARDED_BY(lock);
    struct list spent GUARDED_BY(lock);
};

struct limiter {
    struct limit limit;
    size_t max_per_shard;
    uint32_t tell_after; /* tokens; 0: nobody is told */
    atomic_uint sharers;
    atomic_uint spending_shards; /* bit i: shard i has a spent bucket; changes under its lock */
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
        list_init(&limiter->shards[i].spent);
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
    list_remove(&entry->spent_link);
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
    *entry = (struct entry){.key_len = (uint32_t)key.len};
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

/* The bucket of this name, a new one when there is none; NULL without memory. */
static struct entry *touch_locked(struct limiter *limiter, struct limiter_shard *shard,
                                  struct slice key, uint64_t now_ns) REQUIRES(shard->lock)
{
    struct entry *entry = map_get(&shard->entries, key);
    if (entry == NULL) {
        forget_full_locked(shard, now_ns);
        entry = add_locked(limiter, shard, key);
    }
    if (entry != NULL)
        list_move_back(&shard->order, &entry->link);
    return entry;
}

/* Whether all sharers together, each having taken as much as this one since it was last told, would
 * leave nothing. */
static bool is_much(const struct limiter *limiter, const struct entry *entry, uint64_t now_ns)
{
    unsigned sharers = atomic_load_explicit(&limiter->sharers, memory_order_relaxed);
    uint64_t missing = bucket_missing(&entry->bucket, &limiter->limit, now_ns);
    uint64_t there = missing < limiter->limit.count ? limiter->limit.count - missing : 0;
    return sharers > 1 && (uint64_t)entry->untold * sharers >= there;
}

/* One more was taken, which is told when it is enough; whether it is much. */
static bool note_spent_locked(struct limiter *limiter, struct limiter_shard *shard,
                              struct entry *entry, uint64_t now_ns) REQUIRES(shard->lock)
{
    entry->untold++;
    bool much = is_much(limiter, entry, now_ns);
    if ((much || entry->untold >= limiter->tell_after) && !list_has_link(&entry->spent_link)) {
        list_push_back(&shard->spent, &entry->spent_link);
        atomic_fetch_or(&limiter->spending_shards, 1U << (shard - limiter->shards));
    }
    return much;
}

bool limiter_take(struct limiter *limiter, struct slice key, uint64_t now_ns,
                  struct limiter_answer *answer)
{
    bool taken = true;
    *answer = (struct limiter_answer){.is_much = false};
    assert(key.len <= LIMITER_KEY_MAX);
    if (limit_is_off(&limiter->limit))
        return true;
    struct limiter_shard *shard = shard_of(limiter, key);
    lock_acquire(&shard->lock);
    struct entry *entry = touch_locked(limiter, shard, key, now_ns);
    if (entry != NULL) {
        if (bucket_is_full(&entry->bucket, now_ns))
            entry->untold = 0;
        taken = bucket_take(&entry->bucket, &limiter->limit, now_ns, &answer->retry_after_ms);
        if (taken && limiter->tell_after != 0)
            answer->is_much = note_spent_locked(limiter, shard, entry, now_ns);
    }
    lock_release(&shard->lock);
    return taken;
}

/* --- sharing --- */

void limiter_share(struct limiter *limiter)
{
    limiter->tell_after = 1 + limiter->limit.count / UNTOLD_PARTS;
    limiter_set_sharers(limiter, SHARERS_MAX);
}

void limiter_set_sharers(struct limiter *limiter, unsigned sharers)
{
    atomic_store_explicit(&limiter->sharers, sharers < SHARERS_MAX ? sharers : SHARERS_MAX,
                          memory_order_relaxed);
}

bool limiter_has_spending(const struct limiter *limiter)
{
    return atomic_load(&limiter->spending_shards) != 0;
}

/* What has flowed back meanwhile needs no telling: it is there for everybody again. */
static void settle_locked(const struct limiter *limiter, struct entry *entry, uint64_t now_ns,
                          struct limiter_spending *out)
{
    uint64_t missing = bucket_missing(&entry->bucket, &limiter->limit, now_ns);
    out->tokens = entry->untold < missing ? entry->untold : (uint32_t)missing;
    out->key_len = entry->key_len;
    memcpy(out->key, entry->key, entry->key_len);
    entry->untold = 0;
}

/* False when this shard has none (any more). */
static bool next_of_shard(struct limiter *limiter, unsigned index, uint64_t now_ns,
                          struct limiter_spending *out)
{
    struct limiter_shard *shard = &limiter->shards[index];
    lock_acquire(&shard->lock);
    struct list_link *link = list_pop_front(&shard->spent);
    if (link != NULL)
        settle_locked(limiter, LIST_ENTRY(link, struct entry, spent_link), now_ns, out);
    else
        atomic_fetch_and(&limiter->spending_shards, ~(1U << index));
    lock_release(&shard->lock);
    return link != NULL;
}

bool limiter_next_spending(struct limiter *limiter, uint64_t now_ns, struct limiter_spending *out)
{
    for (unsigned shards; (shards = atomic_load(&limiter->spending_shards)) != 0;)
        while (next_of_shard(limiter, (unsigned)__builtin_ctz(shards), now_ns, out))
            if (out->tokens != 0)
                return true;
    return false;
}

void limiter_charge(struct limiter *limiter, struct slice key, uint64_t tokens, uint64_t now_ns)
{
    if (key.len > LIMITER_KEY_MAX || tokens == 0 || limit_is_off(&limiter->limit))
        return;
    struct limiter_shard *shard = shard_of(limiter, key);
    lock_acquire(&shard->lock);
    struct entry *entry = touch_locked(limiter, shard, key, now_ns);
    if (entry != NULL) {
        if (bucket_is_full(&entry->bucket, now_ns))
            entry->untold = 0;
        bucket_charge(&entry->bucket, &limiter->limit, tokens, now_ns);
    }
    lock_release(&shard->lock);
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
