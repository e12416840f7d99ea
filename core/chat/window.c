/*
 * Entries are never moved: the ring overwrites its oldest. The table of heads has a chain for each
 * hash, newest first, of the entries' numbers: how many messages came before, modulo 2^32. A chain
 * ends at the first number that is no longer in the ring, so what is overwritten need not be taken
 * out. (A number that comes again after 2^32 messages leads to entries of other hashes, which are
 * passed by: ids are compared, and numbers only fall.) Memory is touched only as messages come.
 */
#include "core/chat/window.h"

#include <string.h>

#include "core/base/lock.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/uuid.h"

enum {
    SENDER_INLINE = 40, /* a client's id, and most users' */
    MARKS_MIN = 1024,
};

struct entry {
    unsigned char id[UUID_BYTES];
    uint64_t room;    /* hash of its name */
    uint64_t content; /* hash */
    uint64_t timestamp_ms;
    char *long_sender; /* owned; NULL: it stands in `sender` */
    uint32_t next;     /* number of the one before in its chain */
    uint8_t sender_len;
    bool deleted;
    char sender[SENDER_INLINE];
};

/* Hashes of (message, user), never 0; the lowest bit says read. Open addressing. */
struct marks {
    uint64_t *slots;
    size_t cap, count;
};

struct window {
    size_t size;        /* fixed */
    size_t heads_count; /* fixed; a power of two */

    struct lock lock;
    struct entry *entries GUARDED_BY(lock);
    uint32_t *heads GUARDED_BY(lock);
    size_t next GUARDED_BY(lock);    /* where the next message goes */
    uint32_t count GUARDED_BY(lock); /* its number */
    size_t filled GUARDED_BY(lock);  /* entries that hold a message */
    struct marks marks[2] GUARDED_BY(lock);
    unsigned turn GUARDED_BY(lock); /* which of them new messages' marks go to */
};

struct window *window_create(size_t size)
{
    struct window *window = mem_zalloc(sizeof *window);
    lock_init(&window->lock);
    window->size = size;
    window->count = 1; /* so that an empty head is the number of none */
    if (size == 0)
        return window;
    for (window->heads_count = 16; window->heads_count < size; window->heads_count *= 2)
        continue;
    window->entries = mem_try_zalloc(size, sizeof *window->entries);
    window->heads = mem_try_zalloc(window->heads_count, sizeof *window->heads);
    if (window->entries == NULL || window->heads == NULL) {
        window_destroy(window);
        return NULL;
    }
    return window;
}

void window_destroy(struct window *window)
{
    if (window == NULL)
        return;
    for (size_t i = 0; window->entries != NULL && i < window->size; i++)
        mem_free(window->entries[i].long_sender);
    mem_free(window->entries);
    mem_free(window->heads);
    for (int i = 0; i < 2; i++)
        mem_free(window->marks[i].slots);
    lock_fini(&window->lock);
    mem_free(window);
}

/* --- entries --- */

static struct slice sender_of(const struct entry *entry)
{
    return slice_of(entry->long_sender != NULL ? entry->long_sender : entry->sender,
                    entry->sender_len);
}

static uint32_t *head_of_locked(struct window *window, const unsigned char *id)
    REQUIRES(window->lock)
{
    uint64_t hash = map_hash(slice_of(id, UUID_BYTES));
    return &window->heads[hash & (window->heads_count - 1)];
}

/* The entry that is so many messages before the next one; NULL: it has left the ring. */
static struct entry *entry_locked(const struct window *window, uint32_t age) REQUIRES(window->lock)
{
    if (age > window->filled)
        return NULL;
    size_t end = age > window->next ? window->next + window->size : window->next;
    return &window->entries[end - age];
}

static uint32_t age_locked(const struct window *window, const struct entry *entry)
    REQUIRES(window->lock)
{
    size_t at = (size_t)(entry - window->entries);
    return (uint32_t)(window->next > at ? window->next - at : window->next + window->size - at);
}

/* The next entry of this id behind `after` (NULL: the first one); NULL: no more. */
static struct entry *find_locked(struct window *window, const unsigned char *id,
                                 const struct entry *after) REQUIRES(window->lock)
{
    uint32_t number = after != NULL ? after->next : *head_of_locked(window, id);
    uint32_t last_age = after != NULL ? age_locked(window, after) : 0;
    for (;;) {
        uint32_t age = window->count - number;
        struct entry *entry = age > last_age ? entry_locked(window, age) : NULL;
        if (entry == NULL || memcmp(entry->id, id, UUID_BYTES) == 0)
            return entry;
        last_age = age;
        number = entry->next;
    }
}

static struct entry *find_of_locked(struct window *window, const unsigned char *id,
                                    struct slice sender) REQUIRES(window->lock)
{
    struct entry *entry = find_locked(window, id, NULL);
    while (entry != NULL && !slice_equals(sender_of(entry), sender))
        entry = find_locked(window, id, entry);
    return entry;
}

static void turn_marks_locked(struct window *window) REQUIRES(window->lock)
{
    window->turn ^= 1;
    struct marks *marks = &window->marks[window->turn];
    mem_free(marks->slots);
    *marks = (struct marks){0};
}

static void add_locked(struct window *window, const unsigned char *id, uint64_t room,
                       uint64_t content, const struct window_message *message)
    REQUIRES(window->lock)
{
    struct entry *entry = &window->entries[window->next];
    char *long_sender = NULL;
    size_t len = message->sender.len;
    if (len > WINDOW_SENDER_MAX)
        return;
    if (len > SENDER_INLINE && (long_sender = mem_try_alloc(len)) == NULL)
        return;
    mem_free(entry->long_sender);
    *entry = (struct entry){.room = room,
                            .content = content,
                            .timestamp_ms = message->timestamp_ms,
                            .long_sender = long_sender,
                            .sender_len = (uint8_t)len};
    memcpy(entry->id, id, UUID_BYTES);
    memcpy(long_sender != NULL ? long_sender : entry->sender, message->sender.ptr, len);
    uint32_t *head = head_of_locked(window, id);
    entry->next = *head;
    *head = window->count++;
    window->filled += window->filled < window->size;
    if (++window->next == window->size) {
        window->next = 0;
        turn_marks_locked(window);
    }
    __builtin_prefetch(&window->entries[window->next], 1);
}

enum window_verdict window_claim(struct window *window, const struct window_message *message,
                                 uint64_t *first_ms)
{
    unsigned char id[UUID_BYTES];
    uint64_t room = map_hash(message->room), content = map_hash(message->content);
    enum window_verdict verdict = WINDOW_NEW;
    if (window->size == 0)
        return WINDOW_NEW;
    uuid_read(message->id, id);
    lock_acquire(&window->lock);
    const struct entry *entry = find_of_locked(window, id, message->sender);
    if (entry == NULL) {
        add_locked(window, id, room, content, message);
    } else {
        bool same = entry->room == room && entry->content == content;
        verdict = same ? WINDOW_DUPLICATE : WINDOW_CONFLICT;
        *first_ms = entry->timestamp_ms;
    }
    lock_release(&window->lock);
    return verdict;
}

void window_add(struct window *window, const struct window_message *message)
{
    unsigned char id[UUID_BYTES];
    if (window->size == 0)
        return;
    uuid_read(message->id, id);
    uint64_t room = map_hash(message->room);
    uint64_t content = message->content.ptr != NULL ? map_hash(message->content) : 0;
    lock_acquire(&window->lock);
    add_locked(window, id, room, content, message);
    lock_release(&window->lock);
}

enum window_owner window_check_owner(struct window *window, struct slice id, struct slice room,
                                     struct slice sender)
{
    unsigned char bytes[UUID_BYTES];
    enum window_owner owner = WINDOW_OWN;
    if (window->size == 0)
        return WINDOW_UNKNOWN;
    uuid_read(id, bytes);
    uint64_t room_hash = map_hash(room);
    lock_acquire(&window->lock);
    const struct entry *entry = find_of_locked(window, bytes, sender);
    if (entry == NULL)
        owner = find_locked(window, bytes, NULL) != NULL ? WINDOW_NOT_OWN : WINDOW_UNKNOWN;
    else if (entry->room != room_hash)
        owner = WINDOW_OTHER_ROOM;
    else if (entry->deleted)
        owner = WINDOW_DELETED;
    lock_release(&window->lock);
    return owner;
}

void window_delete(struct window *window, struct slice id, struct slice room, struct slice sender)
{
    unsigned char bytes[UUID_BYTES];
    if (window->size == 0)
        return;
    uuid_read(id, bytes);
    uint64_t room_hash = map_hash(room);
    lock_acquire(&window->lock);
    struct entry *entry = find_of_locked(window, bytes, sender);
    if (entry != NULL && entry->room == room_hash)
        entry->deleted = true;
    lock_release(&window->lock);
}

/* --- marks --- */

static uint64_t *find_mark(const struct marks *marks, uint64_t key)
{
    size_t at = (key >> 1) & (marks->cap - 1);
    while (marks->slots[at] != 0 && (marks->slots[at] | 1) != (key | 1))
        at = (at + 1) & (marks->cap - 1);
    return &marks->slots[at];
}

static bool grow_marks(struct marks *marks)
{
    size_t cap = marks->cap != 0 ? marks->cap * 2 : MARKS_MIN;
    struct marks grown = {.cap = cap, .count = marks->count};
    if (cap > 2 * (size_t)WINDOW_MARKS_MAX)
        return false;
    grown.slots = mem_try_zalloc(cap, sizeof *grown.slots);
    if (grown.slots == NULL)
        return false;
    for (size_t i = 0; i < marks->cap; i++)
        if (marks->slots[i] != 0)
            *find_mark(&grown, marks->slots[i]) = marks->slots[i];
    mem_free(marks->slots);
    *marks = grown;
    return true;
}

/* Whether the mark is news; it is noted where there is room. */
static bool add_mark(struct marks *marks, uint64_t key, bool read)
{
    if (marks->count * 2 >= marks->cap && !grow_marks(marks))
        return marks->cap == 0 || *find_mark(marks, key) < (key | read);
    uint64_t *slot = find_mark(marks, key);
    bool news = *slot == 0 || (read && (*slot & 1) == 0);
    marks->count += *slot == 0;
    if (news)
        *slot = key | read;
    return news;
}

/* The table of the entry's generation: entries ahead of `next` are of the generation before. */
static struct marks *marks_of_locked(struct window *window, const struct entry *entry)
    REQUIRES(window->lock)
{
    bool before = (size_t)(entry - window->entries) >= window->next;
    return &window->marks[before ? window->turn ^ 1 : window->turn];
}

static struct entry *find_in_room_locked(struct window *window, const unsigned char *id,
                                         uint64_t room) REQUIRES(window->lock)
{
    struct entry *entry = find_locked(window, id, NULL);
    while (entry != NULL && entry->room != room)
        entry = find_locked(window, id, entry);
    return entry;
}

/* A mark with its hashes; the id stands first in what is hashed. */
struct mark_key {
    unsigned char bytes[UUID_BYTES + WINDOW_SENDER_MAX];
    uint64_t hash, room;
};

static void make_key(const struct window_mark *mark, struct mark_key *key)
{
    uuid_read(mark->id, key->bytes);
    memcpy(key->bytes + UUID_BYTES, mark->user.ptr, mark->user.len);
    key->hash = map_hash(slice_of(key->bytes, UUID_BYTES + mark->user.len)) & ~(uint64_t)1;
    if (key->hash == 0)
        key->hash = 2;
    key->room = map_hash(mark->room);
}

bool window_add_mark(struct window *window, const struct window_mark *mark,
                     struct window_sender *sender)
{
    struct mark_key key;
    bool news = false;
    if (window->size == 0 || mark->user.len > WINDOW_SENDER_MAX)
        return false;
    make_key(mark, &key);
    lock_acquire(&window->lock);
    const struct entry *entry = find_in_room_locked(window, key.bytes, key.room);
    if (entry != NULL && !slice_equals(sender_of(entry), mark->user) &&
        add_mark(marks_of_locked(window, entry), key.hash, mark->read)) {
        sender->len = entry->sender_len;
        memcpy(sender->bytes, sender_of(entry).ptr, sender->len);
        news = true;
    }
    lock_release(&window->lock);
    return news;
}

bool window_hear_mark(struct window *window, const struct window_mark *mark)
{
    struct mark_key key;
    if (window->size == 0 || mark->user.len > WINDOW_SENDER_MAX)
        return true;
    make_key(mark, &key);
    lock_acquire(&window->lock);
    const struct entry *entry = find_in_room_locked(window, key.bytes, key.room);
    bool news = entry == NULL || add_mark(marks_of_locked(window, entry), key.hash, mark->read);
    lock_release(&window->lock);
    return news;
}
