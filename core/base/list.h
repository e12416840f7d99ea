#pragma once

/*
 * An intrusive, doubly linked list: the links stand in the element, so adding needs no memory and
 * removing needs no search.
 *
 *     head ⇄ link ⇄ link ⇄ (head again)
 *
 * Threads: the owner of the list.
 * Owns: nothing.
 */

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *prev, *next; /* both NULL while in no list */
};

struct list {
    struct list_link head;
};

/* The element that `link` stands in. */
#define LIST_ENTRY(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->head.prev = list->head.next = &list->head;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline bool list_has_link(const struct list_link *link)
{
    return link->next != NULL;
}

/* NULL when the list is empty. */
static inline struct list_link *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.next;
}

static inline void list_push_back(struct list *list, struct list_link *link)
{
    link->prev = list->head.prev;
    link->next = &list->head;
    list->head.prev->next = link;
    list->head.prev = link;
}

static inline void list_push_front(struct list *list, struct list_link *link)
{
    link->prev = &list->head;
    link->next = list->head.next;
    list->head.next->prev = link;
    list->head.next = link;
}

/* Harmless for a link in no list. */
static inline void list_remove(struct list_link *link)
{
    if (link->next == NULL)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}

static inline struct list_link *list_pop_front(struct list *list)
{
    struct list_link *link = list_first(list);
    if (link != NULL)
        list_remove(link);
    return link;
}

/* To the end of `list`, from wherever it was. */
static inline void list_move_back(struct list *list, struct list_link *link)
{
    list_remove(link);
    list_push_back(list, link);
}

/* All of `from` behind what is in `to`; `from` is empty afterwards. */
static inline void list_append(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    struct list_link *first = from->head.next, *last = from->head.prev;
    first->prev = to->head.prev;
    to->head.prev->next = first;
    last->next = &to->head;
    to->head.prev = last;
    list_init(from);
}
