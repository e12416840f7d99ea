#include "core/base/agenda.h"

#include "core/base/mem.h"

enum { FIRST_CAPACITY = 16 };

void agenda_init(struct agenda *agenda)
{
    *agenda = (struct agenda){0};
}

void agenda_fini(struct agenda *agenda)
{
    mem_free(agenda->slots);
    *agenda = (struct agenda){0};
}

static void place(struct agenda *agenda, struct agenda_slot slot, uint32_t index)
{
    agenda->slots[index] = slot;
    slot.entry->index = index;
}

static void sift_up(struct agenda *agenda, uint32_t index)
{
    struct agenda_slot slot = agenda->slots[index];
    for (; index != 0 && agenda->slots[(index - 1) / 2].at > slot.at; index = (index - 1) / 2)
        place(agenda, agenda->slots[(index - 1) / 2], index);
    place(agenda, slot, index);
}

static void sift_down(struct agenda *agenda, uint32_t index)
{
    struct agenda_slot slot = agenda->slots[index];
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child + 1 < agenda->count && agenda->slots[child + 1].at < agenda->slots[child].at)
            child++;
        if (child >= agenda->count || agenda->slots[child].at >= slot.at)
            break;
        place(agenda, agenda->slots[child], index);
        index = child;
    }
    place(agenda, slot, index);
}

/* To where its moment belongs, from wherever it stands. */
static void sift(struct agenda *agenda, const struct agenda_entry *entry)
{
    sift_up(agenda, entry->index);
    sift_down(agenda, entry->index);
}

enum err agenda_set(struct agenda *agenda, struct agenda_entry *entry, uint64_t at)
{
    if (entry->index == AGENDA_OUT) {
        if (agenda->count == agenda->cap) {
            uint32_t cap = agenda->cap != 0 ? agenda->cap * 2 : FIRST_CAPACITY;
            struct agenda_slot *slots = mem_try_resize(agenda->slots, cap, sizeof *slots);
            if (slots == NULL)
                return ERR_NOMEM;
            agenda->slots = slots;
            agenda->cap = cap;
        }
        place(agenda, (struct agenda_slot){.entry = entry}, agenda->count++);
    }
    agenda->slots[entry->index].at = at;
    sift(agenda, entry);
    return ERR_OK;
}

void agenda_remove(struct agenda *agenda, struct agenda_entry *entry)
{
    uint32_t index = entry->index;
    if (index == AGENDA_OUT)
        return;
    entry->index = AGENDA_OUT;
    struct agenda_slot last = agenda->slots[--agenda->count];
    if (last.entry == entry)
        return;
    place(agenda, last, index);
    sift(agenda, last.entry);
}
