#include "core/base/agenda.h"

#include "core/base/mem.h"

enum { FIRST_CAPACITY = 16 };

void agenda_init(struct agenda *agenda)
{
    *agenda = (struct agenda){0};
}

void agenda_fini(struct agenda *agenda)
{
    mem_free(agenda->entries);
    *agenda = (struct agenda){0};
}

static void place(struct agenda *agenda, struct agenda_entry *entry, size_t index)
{
    agenda->entries[index] = entry;
    entry->index = index;
}

static void sift_up(struct agenda *agenda, struct agenda_entry *entry)
{
    size_t index = entry->index;
    for (; index != 0 && agenda->entries[(index - 1) / 2]->at > entry->at; index = (index - 1) / 2)
        place(agenda, agenda->entries[(index - 1) / 2], index);
    place(agenda, entry, index);
}

static void sift_down(struct agenda *agenda, struct agenda_entry *entry)
{
    size_t index = entry->index;
    for (;;) {
        size_t child = 2 * index + 1;
        if (child + 1 < agenda->count &&
            agenda->entries[child + 1]->at < agenda->entries[child]->at)
            child++;
        if (child >= agenda->count || agenda->entries[child]->at >= entry->at)
            break;
        place(agenda, agenda->entries[child], index);
        index = child;
    }
    place(agenda, entry, index);
}

enum err agenda_set(struct agenda *agenda, struct agenda_entry *entry, uint64_t at)
{
    if (entry->index == AGENDA_OUT) {
        if (agenda->count == agenda->cap) {
            size_t cap = agenda->cap != 0 ? agenda->cap * 2 : FIRST_CAPACITY;
            struct agenda_entry **entries =
                mem_try_resize(agenda->entries, cap, sizeof(struct agenda_entry *));
            if (entries == NULL)
                return ERR_NOMEM;
            agenda->entries = entries;
            agenda->cap = cap;
        }
        place(agenda, entry, agenda->count++);
    }
    entry->at = at;
    sift_up(agenda, entry);
    sift_down(agenda, entry);
    return ERR_OK;
}

void agenda_remove(struct agenda *agenda, struct agenda_entry *entry)
{
    size_t index = entry->index;
    if (index == AGENDA_OUT)
        return;
    entry->index = AGENDA_OUT;
    struct agenda_entry *last = agenda->entries[--agenda->count];
    if (last == entry)
        return;
    place(agenda, last, index);
    sift_up(agenda, last);
    sift_down(agenda, last);
}
