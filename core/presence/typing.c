/*
 * Each list has one fixed span, so who is put at the end is due last. A slash stands in no
 * name, so user and room make one key.
 */
#include "core/presence/typing.h"

#include <string.h>

#include "core/base/mem.h"

enum { KEY_MAX = 512, CLIENT_MAX = 36 };

struct typist {
    struct list_link link; /* in active, heard or quiet */
    uint64_t due_ms;
    uint64_t told_ms; /* when a true was passed on last */
    bool was_told;
    bool active;
    unsigned client_len; /* 0: no client here typed */
    char client[CLIENT_MAX];
    unsigned user_len, key_len;
    char key[]; /* user, slash, room */
};

void typing_init(struct typing *typing, void *arg,
                 void (*tell)(void *arg, const struct typing_word *word))
{
    *typing = (struct typing){.arg = arg, .tell = tell};
    map_init(&typing->typists);
    list_init(&typing->active);
    list_init(&typing->heard);
    list_init(&typing->quiet);
}

static void forget(struct typing *typing, struct typist *typist)
{
    list_remove(&typist->link);
    map_remove(&typing->typists, slice_of(typist->key, typist->key_len));
    mem_free(typist);
}

void typing_fini(struct typing *typing)
{
    struct list *lists[] = {&typing->active, &typing->heard, &typing->quiet};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (struct list_link *link; (link = list_first(lists[i])) != NULL;)
            forget(typing, LIST_ENTRY(link, struct typist, link));
    map_fini(&typing->typists);
}

static struct slice key_of(struct slice room, struct slice user, char key[KEY_MAX])
{
    if (room.len + user.len + 1 > KEY_MAX)
        return SLICE_NONE;
    memcpy(key, user.ptr, user.len);
    key[user.len] = '/';
    memcpy(key + user.len + 1, room.ptr, room.len);
    return slice_of(key, user.len + 1 + room.len);
}

static struct typist *find(const struct typing *typing, struct slice room, struct slice user)
{
    char bytes[KEY_MAX];
    struct slice key = key_of(room, user, bytes);
    return key.ptr != NULL ? map_get(&typing->typists, key) : NULL;
}

/* NULL without memory: then nobody is told, and no harm is done. */
static struct typist *add(struct typing *typing, struct slice room, struct slice user)
{
    char bytes[KEY_MAX];
    struct slice key = key_of(room, user, bytes);
    if (key.ptr == NULL)
        return NULL;
    struct typist *typist = mem_try_alloc(sizeof *typist + key.len);
    if (typist == NULL)
        return NULL;
    *typist = (struct typist){.user_len = (unsigned)user.len, .key_len = (unsigned)key.len};
    memcpy(typist->key, key.ptr, key.len);
    if (map_add(&typing->typists, slice_of(typist->key, typist->key_len), typist) != ERR_OK) {
        mem_free(typist);
        return NULL;
    }
    return typist;
}

static struct slice client_of(const struct typist *typist)
{
    return slice_of(typist->client, typist->client_len);
}

static void tell(struct typing *typing, const struct typist *typist, bool heard)
{
    struct slice key = slice_of(typist->key, typist->key_len);
    const struct typing_word word = {.room = slice_skip(key, typist->user_len + 1),
                                     .user = slice_of(typist->key, typist->user_len),
                                     .client = client_of(typist),
                                     .typing = typist->active,
                                     .heard = heard};
    typing->tell(typing->arg, &word);
}

static struct typist *need(struct typing *typing, struct slice room, struct slice user)
{
    struct typist *typist = find(typing, room, user);
    return typist != NULL ? typist : add(typing, room, user);
}

/* False: the pause after its end goes on. `*news`: that it types is to be told. */
static bool begin(struct typing *typing, struct typist *typist, uint64_t pause_ms, uint64_t now_ms,
                  bool *news)
{
    *news = !typist->was_told || now_ms >= typist->told_ms + pause_ms;
    if (!typist->active && !*news)
        return false;
    typing->active_count += !typist->active;
    typist->active = true;
    if (*news)
        typist->told_ms = now_ms;
    typist->was_told = true;
    return true;
}

void typing_begin(struct typing *typing, struct slice room, struct slice user, struct slice client,
                  uint64_t now_ms)
{
    bool news;
    struct typist *typist = need(typing, room, user);
    if (typist == NULL || !begin(typing, typist, TYPING_PAUSE_MS, now_ms, &news))
        return;
    typist->client_len = (unsigned)(client.len < CLIENT_MAX ? client.len : CLIENT_MAX);
    memcpy(typist->client, client.ptr, typist->client_len);
    typist->due_ms = now_ms + TYPING_OVER_MS;
    list_move_back(&typing->active, &typist->link);
    if (news)
        tell(typing, typist, false);
}

static void end(struct typing *typing, struct typist *typist, bool heard, uint64_t now_ms)
{
    typing->active_count--;
    typist->active = false;
    typist->due_ms = now_ms + TYPING_PAUSE_MS;
    list_move_back(&typing->quiet, &typist->link);
    tell(typing, typist, heard);
    typist->client_len = 0;
}

bool typing_end(struct typing *typing, struct slice room, struct slice user, struct slice client,
                uint64_t now_ms)
{
    struct typist *typist = find(typing, room, user);
    if (typist == NULL || !typist->active)
        return false;
    if (client.ptr != NULL && !slice_equals(client, client_of(typist)))
        return false;
    end(typing, typist, false, now_ms);
    return true;
}

bool typing_is_active(const struct typing *typing, struct slice room, struct slice user)
{
    const struct typist *typist = find(typing, room, user);
    return typist != NULL && typist->active;
}

static void hear_true(struct typing *typing, struct typist *typist, uint64_t now_ms)
{
    bool news;
    if (!begin(typing, typist, TYPING_HEARD_PAUSE_MS, now_ms, &news))
        return;
    if (typist->client_len == 0) { /* else it is over when this pod says so */
        typist->due_ms = now_ms + TYPING_HEARD_MS;
        list_move_back(&typing->heard, &typist->link);
    }
    if (news)
        tell(typing, typist, true);
}

void typing_hear(struct typing *typing, struct slice room, struct slice user, bool is_typing,
                 uint64_t now_ms)
{
    struct typist *typist = is_typing ? need(typing, room, user) : find(typing, room, user);
    if (typist == NULL)
        return;
    if (is_typing)
        hear_true(typing, typist, now_ms);
    else if (typist->active)
        end(typing, typist, true, now_ms);
}

static struct typist *first_due(const struct list *list, uint64_t now_ms)
{
    struct list_link *link = list_first(list);
    struct typist *typist = link != NULL ? LIST_ENTRY(link, struct typist, link) : NULL;
    return typist != NULL && typist->due_ms <= now_ms ? typist : NULL;
}

void typing_expire(struct typing *typing, uint64_t now_ms)
{
    struct typist *typist;
    while ((typist = first_due(&typing->active, now_ms)) != NULL)
        end(typing, typist, false, now_ms);
    while ((typist = first_due(&typing->heard, now_ms)) != NULL)
        end(typing, typist, true, now_ms);
    while ((typist = first_due(&typing->quiet, now_ms)) != NULL)
        forget(typing, typist);
}

uint64_t typing_next_ms(const struct typing *typing)
{
    const struct list *lists[] = {&typing->active, &typing->heard, &typing->quiet};
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct list_link *link = list_first(lists[i]);
        if (link != NULL && LIST_ENTRY(link, struct typist, link)->due_ms < next_ms)
            next_ms = LIST_ENTRY(link, struct typist, link)->due_ms;
    }
    return next_ms;
}
