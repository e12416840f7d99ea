#include "core/base/agenda.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>

#include "core/base/mem.h"

enum { MANY = 2000 };

static struct agenda_entry entries[MANY];

static void init_nodes(void)
{
    for (size_t i = 0; i < MANY; i++)
        agenda_entry_init(&entries[i]);
}

/* Every entry is where it says, and no child is earlier than its parent. */
static void assert_sound(const struct agenda *agenda)
{
    size_t wrong = 0;
    for (size_t i = 0; i < agenda->count; i++)
        wrong += agenda->slots[i].entry->index != i ||
                 (i != 0 && agenda->slots[(i - 1) / 2].at > agenda->slots[i].at);
    CU_ASSERT_EQUAL(wrong, 0);
}

static void drain_in_order(struct agenda *agenda)
{
    uint64_t before = 0;
    const struct agenda_slot *first;
    while ((first = agenda_first(agenda)) != NULL) {
        struct agenda_entry *entry = first->entry;
        CU_ASSERT_TRUE(first->at >= before);
        before = first->at;
        CU_ASSERT_EQUAL(agenda_at(agenda, entry), before);
        agenda_remove(agenda, entry);
        CU_ASSERT_EQUAL(entry->index, AGENDA_OUT);
    }
}

static void the_earliest_comes_first(void)
{
    struct agenda agenda;
    agenda_init(&agenda);
    init_nodes();
    CU_ASSERT_PTR_NULL(agenda_first(&agenda));
    for (size_t i = 0; i < MANY; i++)
        CU_ASSERT_EQUAL(agenda_set(&agenda, &entries[i], i * 7919 % MANY), ERR_OK);
    assert_sound(&agenda);
    CU_ASSERT_EQUAL(agenda_first(&agenda)->at, 0);
    drain_in_order(&agenda);
    agenda_fini(&agenda);
}

static void nodes_move_and_leave_from_anywhere(void)
{
    struct agenda agenda;
    unsigned seed = 1;
    agenda_init(&agenda);
    init_nodes();
    for (unsigned step = 0; step < 20000; step++) {
        struct agenda_entry *entry = &entries[(unsigned)rand_r(&seed) % MANY];
        if (rand_r(&seed) % 3 == 0)
            agenda_remove(&agenda, entry);
        else
            CU_ASSERT_EQUAL(agenda_set(&agenda, entry, (unsigned)rand_r(&seed) % 1000), ERR_OK);
        if (step % 500 == 0)
            assert_sound(&agenda);
    }
    size_t in = 0;
    for (size_t i = 0; i < MANY; i++)
        in += entries[i].index != AGENDA_OUT;
    CU_ASSERT_EQUAL(in, agenda.count);
    drain_in_order(&agenda);
    agenda_fini(&agenda);
}

static void without_memory_a_node_stays_out(void)
{
    struct agenda agenda;
    agenda_init(&agenda);
    init_nodes();
    mem_fail_after(1);
    CU_ASSERT_EQUAL(agenda_set(&agenda, &entries[0], 1), ERR_NOMEM);
    mem_fail_after(0);
    CU_ASSERT_EQUAL(entries[0].index, AGENDA_OUT);
    agenda_remove(&agenda, &entries[0]);
    CU_ASSERT_EQUAL(agenda_set(&agenda, &entries[0], 1), ERR_OK);
    mem_fail_after(1);
    CU_ASSERT_EQUAL(agenda_set(&agenda, &entries[0], 2), ERR_OK);
    mem_fail_after(0);
    CU_ASSERT_EQUAL(agenda_first(&agenda)->at, 2);
    agenda_fini(&agenda);
}

CU_TestInfo agenda_tests[] = {
    {"the_earliest_comes_first", the_earliest_comes_first},
    {"nodes_move_and_leave_from_anywhere", nodes_move_and_leave_from_anywhere},
    {"without_memory_a_node_stays_out", without_memory_a_node_stays_out},
    CU_TEST_INFO_NULL,
};
