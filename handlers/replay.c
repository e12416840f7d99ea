#include "handlers/replay.h"

#include "core/base/mem.h"

struct answer {
    struct list_link link;
    struct digest key;
    struct digest request;
    uint64_t made_ms;
    size_t len; /* bytes */
    char bytes[];
};

static struct answer *answer_of(struct list_link *link)
{
    return LIST_ENTRY(link, struct answer, link);
}

static struct slice key_slice(const struct digest *key)
{
    return slice_of(key->bytes, sizeof key->bytes);
}

static size_t size_of(const struct answer *answer)
{
    return sizeof *answer + answer->len;
}

static void forget_oldest(struct replays *replays)
{
    struct list_link *link = list_pop_front(&replays->by_age);
    if (link == NULL)
        return;
    struct answer *answer = answer_of(link);
    map_remove(&replays->answers, key_slice(&answer->key));
    replays->bytes -= size_of(answer);
    mem_free(answer);
}

void replays_init(struct replays *replays)
{
    map_init(&replays->answers);
    list_init(&replays->by_age);
    replays->bytes = 0;
}

void replays_fini(struct replays *replays)
{
    while (!list_is_empty(&replays->by_age))
        forget_oldest(replays);
    map_fini(&replays->answers);
}

static void forget_old(struct replays *replays, uint64_t now_ms)
{
    for (struct list_link *first; (first = list_first(&replays->by_age)) != NULL;) {
        if (answer_of(first)->made_ms + REPLAY_MS > now_ms)
            return;
        forget_oldest(replays);
    }
}

enum replay replays_find(struct replays *replays, const struct digest *key,
                         const struct digest *request, uint64_t now_ms, struct slice *answer)
{
    forget_old(replays, now_ms);
    const struct answer *found = map_get(&replays->answers, key_slice(key));
    if (found == NULL)
        return REPLAY_NEW;
    if (!digest_equals(&found->request, request))
        return REPLAY_OTHER;
    *answer = slice_of(found->bytes, found->len);
    return REPLAY_SAME;
}

void replays_add(struct replays *replays, const struct digest *key, const struct digest *request,
                 uint64_t now_ms, struct slice answer)
{
    struct answer *made = mem_try_alloc(sizeof *made + answer.len);
    if (made == NULL)
        return;
    *made = (struct answer){.key = *key, .request = *request, .made_ms = now_ms, .len = answer.len};
    memcpy(made->bytes, answer.ptr, answer.len);
    if (map_add(&replays->answers, key_slice(&made->key), made) != ERR_OK) {
        mem_free(made);
        return;
    }
    list_push_back(&replays->by_age, &made->link);
    replays->bytes += size_of(made);
    while (replays->answers.count > REPLAY_ANSWERS_MAX || replays->bytes > REPLAY_BYTES_MAX)
        forget_oldest(replays);
}
