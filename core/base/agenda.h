#pragma once

/*
 * A binary heap of moments: the earliest is found at once, any one is moved or taken out in
 * logarithmic time. For deadlines that differ from one to the next; where all have the same length,
 * a list does.
 *
 * Threads: the owner of the heap.
 * Owns: its array, not the entries.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

#define AGENDA_OUT UINT32_MAX

/* What waits; small, for it stands in every client. */
struct agenda_entry {
    uint32_t index; /* in the heap's array; AGENDA_OUT: in none */
};

struct agenda_slot {
    uint64_t at;
    struct agenda_entry *entry;
};

struct agenda {
    struct agenda_slot *slots;
    uint32_t count, cap;
};

void agenda_init(struct agenda *agenda);
void agenda_fini(struct agenda *agenda);

static inline void agenda_entry_init(struct agenda_entry *entry)
{
    *entry = (struct agenda_entry){.index = AGENDA_OUT};
}

/* Puts the entry in, or moves it when it is in. ERR_NOMEM only for one that was out, and stays so.
 */
MUST_USE enum err agenda_set(struct agenda *agenda, struct agenda_entry *entry, uint64_t at);

/* Takes the entry out; nothing when it is out. */
void agenda_remove(struct agenda *agenda, struct agenda_entry *entry);

/* The earliest, NULL when there is none. Good until the heap changes. */
static inline const struct agenda_slot *agenda_first(const struct agenda *agenda)
{
    return agenda->count != 0 ? &agenda->slots[0] : NULL;
}

/* The moment of an entry that is in. */
static inline uint64_t agenda_at(const struct agenda *agenda, const struct agenda_entry *entry)
{
    return agenda->slots[entry->index].at;
}
