/*
 * Per pod a ring of hashes and, beside it, chains over the ring's places, so that a look-up costs
 * the same however full the ring is:
 *
 *     heads[hash & mask] ─▶ place ─▶ place ─▶ none        next[place] is the chain
 *
 * A 64-bit hash under a secret key stands for the payload: two different ones are taken for equal
 * once in some 10^16 messages.
 */
#include "core/bus/recent.h"

#include "core/base/mem.h"

enum {
    HEADS = 2 * RECENT_PER_POD, /* a power of two */
    NONE = UINT16_MAX,
};

_Static_assert((HEADS & (HEADS - 1)) == 0, "HEADS is a mask plus one");
_Static_assert(RECENT_PER_POD < UINT16_MAX, "a place fits its type");

struct recent_pod {
    struct list_link link;
    size_t count; /* places in use */
    size_t at;    /* the place that is written next */
    uint64_t hashes[RECENT_PER_POD];
    uint16_t next[RECENT_PER_POD];
    uint16_t heads[HEADS];
    size_t id_len;
    char id[];
};

void recent_init(struct recent *recent)
{
    map_init(&recent->pods);
    list_init(&recent->by_age);
}

/* False when there is none. */
static bool forget_oldest(struct recent *recent)
{
    struct list_link *link = list_pop_front(&recent->by_age);
    if (link == NULL)
        return false;
    struct recent_pod *pod = LIST_ENTRY(link, struct recent_pod, link);
    map_remove(&recent->pods, slice_of(pod->id, pod->id_len));
    mem_free(pod);
    return true;
}

void recent_fini(struct recent *recent)
{
    while (forget_oldest(recent))
        ;
    map_fini(&recent->pods);
}

/* NULL when there is no memory: then repeats go through, which is the smaller harm. */
static struct recent_pod *add_pod(struct recent *recent, struct slice id)
{
    if (recent->pods.count >= RECENT_PODS)
        forget_oldest(recent);
    struct recent_pod *pod = mem_try_alloc(sizeof *pod + id.len);
    if (pod == NULL)
        return NULL;
    pod->link = (struct list_link){0};
    pod->count = pod->at = 0;
    memset(pod->heads, 0xff, sizeof pod->heads);
    pod->id_len = id.len;
    memcpy(pod->id, id.ptr, id.len);
    if (map_add(&recent->pods, slice_of(pod->id, id.len), pod) != ERR_OK) {
        mem_free(pod);
        return NULL;
    }
    return pod;
}

static bool has_hash(const struct recent_pod *pod, uint64_t hash)
{
    for (uint16_t at = pod->heads[hash % HEADS]; at != NONE; at = pod->next[at])
        if (pod->hashes[at] == hash)
            return true;
    return false;
}

static void unlink_place(struct recent_pod *pod, uint16_t place)
{
    uint16_t *at = &pod->heads[pod->hashes[place] % HEADS];
    while (*at != place)
        at = &pod->next[*at];
    *at = pod->next[place];
}

static void add_hash(struct recent_pod *pod, uint64_t hash)
{
    uint16_t place = (uint16_t)pod->at;
    if (pod->count == RECENT_PER_POD)
        unlink_place(pod, place);
    else
        pod->count++;
    pod->hashes[place] = hash;
    pod->next[place] = pod->heads[hash % HEADS];
    pod->heads[hash % HEADS] = place;
    pod->at = (pod->at + 1) % RECENT_PER_POD;
}

bool recent_is_repeat(struct recent *recent, struct slice id, struct slice channel,
                      struct slice payload)
{
    struct recent_pod *pod = map_get(&recent->pods, id);
    if (pod == NULL && (pod = add_pod(recent, id)) == NULL)
        return false;
    list_move_back(&recent->by_age, &pod->link);
    /* The multiplication keeps the two apart: equal texts in both places do not cancel out. */
    uint64_t hash = map_hash(payload) ^ (map_hash(channel) * 0x9e3779b97f4a7c15u);
    if (has_hash(pod, hash))
        return true;
    add_hash(pod, hash);
    return false;
}
