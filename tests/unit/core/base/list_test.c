#include "core/base/list.h"

#include <CUnit/CUnit.h>
#include <string.h>

struct item {
    char name;
    struct list_link link;
};

/* Compares names in order, forwards and backwards. */
static void holds(const struct list *list, const char *names)
{
    size_t len = strlen(names), i = 0;
    for (struct list_link *at = list->head.next; at != &list->head; at = at->next) {
        CU_ASSERT_TRUE_FATAL(i < len);
        CU_ASSERT_EQUAL(LIST_ENTRY(at, struct item, link)->name, names[i]);
        i++;
    }
    CU_ASSERT_EQUAL_FATAL(i, len);
    for (struct list_link *at = list->head.prev; at != &list->head; at = at->prev)
        CU_ASSERT_EQUAL(LIST_ENTRY(at, struct item, link)->name, names[--i]);
    CU_ASSERT_EQUAL(list_is_empty(list), len == 0);
}

static void fill(struct list *list, struct item *items, const char *names)
{
    list_init(list);
    for (size_t i = 0; names[i] != '\0'; i++) {
        items[i] = (struct item){.name = names[i]};
        list_push_back(list, &items[i].link);
    }
}

static void keeps_the_order_of_arrival(void)
{
    struct list list;
    struct item items[3];
    fill(&list, items, "abc");
    holds(&list, "abc");
    CU_ASSERT_PTR_EQUAL(list_first(&list), &items[0].link);
    CU_ASSERT_PTR_EQUAL(list_pop_front(&list), &items[0].link);
    CU_ASSERT_PTR_EQUAL(list_pop_front(&list), &items[1].link);
    CU_ASSERT_PTR_EQUAL(list_pop_front(&list), &items[2].link);
    CU_ASSERT_PTR_NULL(list_pop_front(&list));
    CU_ASSERT_PTR_NULL(list_first(&list));
    holds(&list, "");
}

static void removes_from_anywhere_and_twice_without_harm(void)
{
    static const char *const left[] = {"bc", "ac", "ab"};
    for (size_t i = 0; i < 3; i++) {
        struct list list;
        struct item items[3];
        fill(&list, items, "abc");
        CU_ASSERT_TRUE(list_has_link(&items[i].link));
        list_remove(&items[i].link);
        CU_ASSERT_FALSE(list_has_link(&items[i].link));
        list_remove(&items[i].link);
        holds(&list, left[i]);
        list_push_back(&list, &items[i].link);
        CU_ASSERT_PTR_EQUAL(list.head.prev, &items[i].link);
    }
}

static void moves_to_the_end_from_wherever_it_was(void)
{
    struct list list, other;
    struct item items[3], stranger;
    fill(&list, items, "abc");
    list_move_back(&list, &items[0].link);
    holds(&list, "bca");
    list_move_back(&list, &items[0].link);
    holds(&list, "bca");
    fill(&other, &stranger, "x");
    list_move_back(&list, &stranger.link);
    holds(&list, "bcax");
    holds(&other, "");
}

static void appends_a_whole_list_and_leaves_the_other_empty(void)
{
    static const struct {
        const char *to, *from, *both;
    } rows[] = {{"ab", "cd", "abcd"}, {"", "cd", "cd"}, {"ab", "", "ab"}, {"", "", ""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct list to, from;
        struct item first[2], second[2];
        fill(&to, first, rows[i].to);
        fill(&from, second, rows[i].from);
        list_append(&to, &from);
        holds(&to, rows[i].both);
        holds(&from, "");
    }
}

CU_TestInfo list_tests[] = {
    {"keeps_the_order_of_arrival", keeps_the_order_of_arrival},
    {"removes_from_anywhere_and_twice_without_harm", removes_from_anywhere_and_twice_without_harm},
    {"moves_to_the_end_from_wherever_it_was", moves_to_the_end_from_wherever_it_was},
    {"appends_a_whole_list_and_leaves_the_other_empty",
     appends_a_whole_list_and_leaves_the_other_empty},
    CU_TEST_INFO_NULL,
};
