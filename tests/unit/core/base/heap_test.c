#include "core/base/heap.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>

#include "core/base/mem.h"

enum { MANY = 2000 };

static struct heap_node nodes[MANY];

static void init_nodes(void)
{
    for (size_t i = 0; i < MANY; i++)
        heap_node_init(&nodes[i]);
}

/* Every node is where it says, and no child is earlier than its parent. */
static void assert_sound(const struct heap *heap)
{
    size_t wrong = 0;
    for (size_t i = 0; i < heap->count; i++)
        wrong += heap->nodes[i]->index != i ||
                 (i != 0 && heap->nodes[(i - 1) / 2]->at > heap->nodes[i]->at);
    CU_ASSERT_EQUAL(wrong, 0);
}

static void drain_in_order(struct heap *heap)
{
    uint64_t before = 0;
    struct heap_node *first;
    while ((first = heap_first(heap)) != NULL) {
        CU_ASSERT_TRUE(first->at >= before);
        before = first->at;
        heap_remove(heap, first);
        CU_ASSERT_EQUAL(first->index, HEAP_OUT);
    }
}

static void the_earliest_comes_first(void)
{
    struct heap heap;
    heap_init(&heap);
    init_nodes();
    CU_ASSERT_PTR_NULL(heap_first(&heap));
    for (size_t i = 0; i < MANY; i++)
        CU_ASSERT_EQUAL(heap_set(&heap, &nodes[i], i * 7919 % MANY), ERR_OK);
    assert_sound(&heap);
    CU_ASSERT_EQUAL(heap_first(&heap)->at, 0);
    drain_in_order(&heap);
    heap_fini(&heap);
}

static void nodes_move_and_leave_from_anywhere(void)
{
    struct heap heap;
    unsigned seed = 1;
    heap_init(&heap);
    init_nodes();
    for (unsigned step = 0; step < 20000; step++) {
        struct heap_node *node = &nodes[(unsigned)rand_r(&seed) % MANY];
        if (rand_r(&seed) % 3 == 0)
            heap_remove(&heap, node);
        else
            CU_ASSERT_EQUAL(heap_set(&heap, node, (unsigned)rand_r(&seed) % 1000), ERR_OK);
        if (step % 500 == 0)
            assert_sound(&heap);
    }
    size_t in = 0;
    for (size_t i = 0; i < MANY; i++)
        in += nodes[i].index != HEAP_OUT;
    CU_ASSERT_EQUAL(in, heap.count);
    drain_in_order(&heap);
    heap_fini(&heap);
}

static void without_memory_a_node_stays_out(void)
{
    struct heap heap;
    heap_init(&heap);
    init_nodes();
    mem_fail_after(1);
    CU_ASSERT_EQUAL(heap_set(&heap, &nodes[0], 1), ERR_NOMEM);
    mem_fail_after(0);
    CU_ASSERT_EQUAL(nodes[0].index, HEAP_OUT);
    heap_remove(&heap, &nodes[0]);
    CU_ASSERT_EQUAL(heap_set(&heap, &nodes[0], 1), ERR_OK);
    mem_fail_after(1);
    CU_ASSERT_EQUAL(heap_set(&heap, &nodes[0], 2), ERR_OK);
    mem_fail_after(0);
    CU_ASSERT_EQUAL(heap_first(&heap)->at, 2);
    heap_fini(&heap);
}

CU_TestInfo heap_tests[] = {
    {"the_earliest_comes_first", the_earliest_comes_first},
    {"nodes_move_and_leave_from_anywhere", nodes_move_and_leave_from_anywhere},
    {"without_memory_a_node_stays_out", without_memory_a_node_stays_out},
    CU_TEST_INFO_NULL,
};
