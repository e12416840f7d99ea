/*
 * Whatever happens to a user ends in judge(), which compares what is so with what was told.
 */
#include "core/presence/replica.h"

#include <string.h>

#include "core/base/mem.h"

/* Name and text of an entry; most have neither, and no memory for them. */
struct words {
    bool named;
    unsigned name_len, text_len;
    char bytes[];
};

struct entry {
    struct entry *next;
    struct lease *lease;
    struct words *words; /* NULL: no name, no text */
    uint64_t rev, since_ms, stamp_ms;
    uint32_t clients; /* 0: gone, kept as a mark or for its words */
    uint8_t status;
    bool seen; /* heard of since the load began */
};

struct user {
    struct list_link leaving, held;
    struct replica *replica;
    uint64_t due_ms;    /* when its leave is */
    uint64_t let_go_ms; /* when the words of pods that it left stop counting */
    uint64_t told;      /* hash of what was told last */
    struct entry *entries;
    bool is_told; /* clients think that it is here */
    bool is_new;  /* came live while nothing was told yet */
    unsigned id_len;
    char id[];
};

void replicas_init(struct replicas *replicas, struct leases *leases, uint64_t grace_ms)
{
    *replicas = (struct replicas){.leases = leases, .grace_ms = grace_ms};
    list_init(&replicas->all);
    list_init(&replicas->leaving);
    list_init(&replicas->held);
}

void replica_init(struct replica *replica, struct replicas *replicas, struct slice name)
{
    *replica =
        (struct replica){.replicas = replicas, .name = name, .loading = true, .silent = true};
    map_init(&replica->users);
    list_push_back(&replicas->all, &replica->link);
}

/* --- entries --- */

static struct words *make_words(const struct record *record)
{
    if (record->name.ptr == NULL && record->text.len == 0)
        return NULL;
    struct words *words = mem_zalloc(sizeof *words + record->name.len + record->text.len);
    words->named = record->name.ptr != NULL;
    words->name_len = (unsigned)record->name.len;
    words->text_len = (unsigned)record->text.len;
    if (words->named)
        memcpy(words->bytes, record->name.ptr, record->name.len);
    if (record->text.len != 0)
        memcpy(words->bytes + record->name.len, record->text.ptr, record->text.len);
    return words;
}

/* Whether a pod that the user left still has a say. */
static bool is_held(const struct entry *entry)
{
    return entry->clients == 0 && entry->stamp_ms != 0;
}

static void set_entry(struct entry *entry, const struct record *record)
{
    bool gone = record->clients == 0;
    entry->rev = record->rev;
    entry->clients = record->clients;
    if (gone) { /* what it was is still told with the leave */
        entry->status = (uint8_t)record->status;
        return;
    }
    mem_free(entry->words);
    entry->words = make_words(record);
    entry->since_ms = record->since_ms;
    entry->stamp_ms = record->stamp_ms;
    entry->status = (uint8_t)record->status;
}

static struct entry **find_entry(struct user *user, const struct lease *lease)
{
    struct entry **at = &user->entries;
    while (*at != NULL && (*at)->lease != lease)
        at = &(*at)->next;
    return at;
}

static struct entry *add_entry(struct user *user, struct lease *lease)
{
    struct entry *entry = mem_zalloc(sizeof *entry);
    entry->lease = lease_retain(lease);
    entry->next = user->entries;
    user->entries = entry;
    return entry;
}

static void remove_entry(struct user *user, struct entry **at)
{
    struct entry *entry = *at;
    *at = entry->next;
    leases_put(user->replica->replicas->leases, entry->lease);
    mem_free(entry->words);
    mem_free(entry);
}

/* --- users --- */

static struct slice id_of(const struct user *user)
{
    return slice_of(user->id, user->id_len);
}

/* NULL without memory: a peer chose how many there are. */
static struct user *add_user(struct replica *replica, struct slice id)
{
    struct user *user = mem_try_alloc(sizeof *user + id.len);
    if (user == NULL)
        return NULL;
    *user = (struct user){.replica = replica, .id_len = (unsigned)id.len};
    memcpy(user->id, id.ptr, id.len);
    if (map_add(&replica->users, id_of(user), user) != ERR_OK) {
        mem_free(user);
        return NULL;
    }
    return user;
}

static void free_user(struct user *user)
{
    list_remove(&user->leaving);
    list_remove(&user->held);
    while (user->entries != NULL)
        remove_entry(user, &user->entries);
    mem_free(user);
}

static void forget_user(struct user *user)
{
    map_remove(&user->replica->users, id_of(user));
    free_user(user);
}

/* Whether of two pods' words the first one tells the status, and which has clients if both may. */
static bool is_later(const struct entry *entry, const struct entry *than)
{
    bool counts = entry->clients != 0 || is_held(entry);
    bool other_counts = than->clients != 0 || is_held(than);
    if (counts != other_counts)
        return counts;
    if (entry->stamp_ms != than->stamp_ms)
        return entry->stamp_ms > than->stamp_ms;
    return entry->clients != 0 && than->clients == 0;
}

/* The pods' words together: the latest status counts, be it of a pod whose clients just went. */
static struct presence_view look(const struct user *user)
{
    struct presence_view view = {.user = id_of(user), .text = slice_str("")};
    const struct entry *latest = NULL;
    for (const struct entry *entry = user->entries; entry != NULL; entry = entry->next) {
        if (latest == NULL || is_later(entry, latest))
            latest = entry;
        if (entry->clients != 0 && (view.clients == 0 || entry->since_ms < view.since_ms))
            view.since_ms = entry->since_ms;
        view.clients += entry->clients;
    }
    if (latest == NULL)
        return view;
    view.status = (enum presence_status)latest->status;
    if (view.clients == 0)
        view.since_ms = latest->since_ms;
    const struct words *words = latest->words;
    if (words != NULL && words->named)
        view.name = slice_of(words->bytes, words->name_len);
    if (words != NULL)
        view.text = slice_of(words->bytes + words->name_len, words->text_len);
    return view;
}

static bool is_visible(const struct presence_view *view)
{
    return view->clients != 0 && view->status != PRESENCE_OFFLINE;
}

/* Of what an update tells. Two different ones that hash alike would cost one update. */
static uint64_t hash_of(const struct presence_view *view)
{
    uint64_t hash = view->name.ptr != NULL ? map_hash(view->name) : 0;
    return (hash * 31 + map_hash(view->text)) * 31 + view->status;
}

static void tell(struct user *user, enum replica_event event, const struct presence_view *view)
{
    struct replicas *replicas = user->replica->replicas;
    user->is_told = event != REPLICA_LEAVE;
    user->told = hash_of(view);
    list_remove(&user->leaving);
    replicas->tell(replicas->arg, user->replica, event, view);
}

static void tell_leave(struct user *user, struct presence_view view)
{
    view.status = PRESENCE_OFFLINE;
    tell(user, REPLICA_LEAVE, &view);
}

static void begin_leaving(struct user *user, uint64_t now_ms)
{
    struct replicas *replicas = user->replica->replicas;
    user->due_ms = now_ms + replicas->grace_ms;
    list_push_back(&replicas->leaving, &user->leaving);
}

static bool is_any_held(const struct user *user)
{
    for (const struct entry *entry = user->entries; entry != NULL; entry = entry->next)
        if (is_held(entry))
            return true;
    return false;
}

/* The user left a pod: what that said counts for the time of grace. */
static void hold(struct user *user, uint64_t now_ms)
{
    struct replicas *replicas = user->replica->replicas;
    user->let_go_ms = now_ms + replicas->grace_ms;
    list_remove(&user->held);
    list_push_back(&replicas->held, &user->held);
}

static void let_go(struct user *user)
{
    list_remove(&user->held);
    for (struct entry *entry = user->entries; entry != NULL; entry = entry->next)
        if (is_held(entry))
            entry->stamp_ms = 0;
}

/* Marks of pods that the user has left. */
static void prune(struct user *user)
{
    for (struct entry **at = &user->entries; *at != NULL;)
        if ((*at)->clients == 0 && !is_held(*at))
            remove_entry(user, at);
        else
            at = &(*at)->next;
}

/* Tells what must be told. False: the user was forgotten by that. */
static bool judge(struct user *user, bool has_grace, uint64_t now_ms)
{
    struct presence_view view = look(user);
    bool loading = user->replica->loading;
    if (user->replica->silent)
        return true;
    if (view.clients != 0 && !loading)
        prune(user);
    if (is_visible(&view)) {
        list_remove(&user->leaving);
        if (!user->is_told)
            tell(user, REPLICA_JOIN, &view);
        else if (user->told != hash_of(&view))
            tell(user, REPLICA_UPDATE, &view);
    } else if (user->is_told && view.clients == 0 && has_grace) {
        if (!list_has_link(&user->leaving))
            begin_leaving(user, now_ms);
    } else if (user->is_told) {
        tell_leave(user, view);
    }
    if (user->is_told || view.clients != 0 || loading || is_any_held(user))
        return true;
    forget_user(user);
    return false;
}

void replica_fini(struct replica *replica)
{
    size_t at = 0;
    for (struct user *user; (user = map_next(&replica->users, &at)) != NULL;)
        free_user(user);
    map_fini(&replica->users);
    list_remove(&replica->link);
}

static void expire_leaving(struct replicas *replicas, uint64_t now_ms)
{
    for (struct list_link *link; (link = list_first(&replicas->leaving)) != NULL;) {
        struct user *user = LIST_ENTRY(link, struct user, leaving);
        if (user->due_ms > now_ms)
            return;
        tell_leave(user, look(user));
        if (!user->replica->loading)
            forget_user(user);
    }
}

static void expire_held(struct replicas *replicas, uint64_t now_ms)
{
    for (struct list_link *link; (link = list_first(&replicas->held)) != NULL;) {
        struct user *user = LIST_ENTRY(link, struct user, held);
        if (user->let_go_ms > now_ms)
            return;
        let_go(user);
        (void)judge(user, true, now_ms);
    }
}

void replicas_expire(struct replicas *replicas, uint64_t now_ms)
{
    expire_leaving(replicas, now_ms);
    expire_held(replicas, now_ms);
}

uint64_t replicas_next_ms(const struct replicas *replicas)
{
    const struct list_link *leaving = list_first(&replicas->leaving);
    const struct list_link *held = list_first(&replicas->held);
    uint64_t next_ms = UINT64_MAX;
    if (leaving != NULL)
        next_ms = LIST_ENTRY(leaving, struct user, leaving)->due_ms;
    if (held != NULL && LIST_ENTRY(held, struct user, held)->let_go_ms < next_ms)
        next_ms = LIST_ENTRY(held, struct user, held)->let_go_ms;
    return next_ms;
}

/* --- words of pods --- */

/* Whether the pod said something about the user under a later lease already. */
static bool is_superseded(const struct user *user, const struct lease *lease)
{
    for (const struct entry *entry = user->entries; entry != NULL; entry = entry->next)
        if (lease_is_followed_by(lease, entry->lease))
            return true;
    return false;
}

/* The pod says it under a new lease: what it said under those before does not count beside it. */
static void supersede(struct user *user, const struct lease *lease)
{
    for (struct entry **at = &user->entries; *at != NULL;)
        if (lease_is_followed_by((*at)->lease, lease))
            remove_entry(user, at);
        else
            at = &(*at)->next;
}

/* The user, once the word is taken; NULL when it changes nothing. */
static struct user *take(struct replica *replica, struct lease *lease, struct slice id,
                         const struct record *record, uint64_t now_ms)
{
    struct user *user = map_get(&replica->users, id);
    struct entry *entry = user != NULL ? *find_entry(user, lease) : NULL;
    if (entry != NULL)
        entry->seen = true;
    if (entry != NULL ? record->rev <= entry->rev : record->clients == 0 && !replica->loading)
        return NULL;
    if (user != NULL && entry == NULL && is_superseded(user, lease))
        return NULL;
    if (user == NULL && (user = add_user(replica, id)) == NULL)
        return NULL;
    if (entry == NULL) {
        entry = add_entry(user, lease);
        supersede(user, lease);
    }
    entry->seen = true;
    set_entry(entry, record);
    if (is_held(entry))
        hold(user, now_ms);
    return user;
}

void replica_apply(struct replica *replica, struct lease *lease, struct slice id,
                   const struct record *record, uint64_t now_ms)
{
    bool was_there = map_get(&replica->users, id) != NULL;
    struct user *user = take(replica, lease, id, record, now_ms);
    if (user == NULL)
        return;
    user->is_new |= replica->silent && !was_there;
    judge(user, true, now_ms);
}

void replica_begin_load(struct replica *replica)
{
    size_t at = 0;
    replica->loading = true;
    for (struct user *user; (user = map_next(&replica->users, &at)) != NULL;)
        for (struct entry *entry = user->entries; entry != NULL; entry = entry->next)
            entry->seen = false;
}

void replica_take_loaded(struct replica *replica, struct lease *lease, struct slice id,
                         const struct record *record, uint64_t now_ms)
{
    struct user *user = take(replica, lease, id, record, now_ms);
    if (user == NULL)
        return;
    /* It was there on another pod before it came live to this one. */
    user->is_new = false;
    judge(user, true, now_ms);
}

static void sweep_user(struct user *user, const struct lease *self)
{
    for (struct entry *entry = user->entries; entry != NULL; entry = entry->next)
        if (!entry->seen && entry->lease != self) {
            entry->clients = 0;
            entry->stamp_ms = 0;
        }
}

/* Users may go while they are judged, so they are gathered first. */
static struct user **gather(const struct replica *replica, size_t *count)
{
    struct user **users = mem_resize(NULL, replica->users.count + 1, sizeof(struct user *));
    size_t at = 0;
    *count = 0;
    for (struct user *user; (user = map_next(&replica->users, &at)) != NULL;)
        users[(*count)++] = user;
    return users;
}

void replica_end_load(struct replica *replica, const struct lease *self, bool sweep,
                      uint64_t now_ms)
{
    size_t count;
    struct user **users = gather(replica, &count);
    bool first = replica->silent;
    replica->loading = replica->silent = false;
    for (size_t i = 0; i < count; i++) {
        struct user *user = users[i];
        if (sweep)
            sweep_user(user, self);
        struct presence_view view = look(user);
        if (first && !user->is_new && is_visible(&view)) {
            user->is_told = true; /* it was here before those who would be told */
            user->told = hash_of(&view);
        }
        user->is_new = false;
        judge(user, true, now_ms);
    }
    mem_free(users);
}

void replica_drop_lease(struct replica *replica, struct lease *lease,
                        void (*each)(void *arg, struct replica *replica, struct slice user),
                        void *arg)
{
    size_t count;
    struct user **users = gather(replica, &count);
    lease_retain(lease);
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = *find_entry(users[i], lease);
        if (entry == NULL)
            continue;
        each(arg, replica, id_of(users[i]));
        entry->clients = 0;
        entry->stamp_ms = 0; /* nothing of it counts */
        if (!judge(users[i], false, 0))
            continue;
        struct entry **at = find_entry(users[i], lease);
        if (*at != NULL)
            remove_entry(users[i], at);
    }
    leases_put(replica->replicas->leases, lease);
    mem_free(users);
}

size_t replica_count_clients(const struct replica *replica)
{
    size_t count = 0, at = 0;
    for (const struct user *user; (user = map_next(&replica->users, &at)) != NULL;)
        for (const struct entry *entry = user->entries; entry != NULL; entry = entry->next)
            count += entry->clients;
    return count;
}

void replica_each(const struct replica *replica, bool lingering,
                  void (*each)(void *arg, const struct presence_view *view), void *arg)
{
    size_t at = 0;
    for (const struct user *user; (user = map_next(&replica->users, &at)) != NULL;) {
        struct presence_view view = look(user);
        if (is_visible(&view) || (lingering && list_has_link(&user->leaving)))
            each(arg, &view);
    }
}
