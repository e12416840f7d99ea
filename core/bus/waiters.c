/*
 * Ready ones move to a local list first: done() is called when the list is whole again, since it
 * may bring new waiters or free the one it is called for.
 */
#include "core/bus/waiters.h"

#include "core/bus/bus.h"

static struct bus_waiter *waiter_of(struct list_link *link)
{
    return LIST_ENTRY(link, struct bus_waiter, link);
}

static void let_go(struct list *ready)
{
    for (struct list_link *link; (link = list_pop_front(ready)) != NULL;) {
        struct bus_waiter *waiter = waiter_of(link);
        waiter->done(waiter);
    }
}

static void pick_ready(struct list *from, const struct interest *interest, struct list *ready)
{
    for (struct list_link *at = from->head.next, *next; at != &from->head; at = next) {
        next = at->next;
        struct bus_waiter *waiter = waiter_of(at);
        if (waiter->room.ptr == NULL || interest_is_awaited(interest, waiter->room))
            continue;
        waiter->refused = interest_is_refused(interest, waiter->room);
        list_move_back(ready, at);
    }
}

void waiters_init(struct waiters *waiters)
{
    list_init(&waiters->list);
}

void waiters_admit(struct waiters *waiters, struct list *arrived, const struct interest *interest)
{
    struct list ready;
    list_init(&ready);
    pick_ready(arrived, interest, &ready);
    list_append(&waiters->list, arrived);
    let_go(&ready);
}

void waiters_serve(struct waiters *waiters, const struct interest *interest)
{
    struct list ready;
    list_init(&ready);
    pick_ready(&waiters->list, interest, &ready);
    let_go(&ready);
}

void waiters_expire(struct waiters *waiters, uint64_t now_ms)
{
    struct list ready;
    list_init(&ready);
    struct list_link *first = list_first(&waiters->list);
    while (first != NULL && waiter_of(first)->deadline_ms <= now_ms) {
        list_move_back(&ready, first);
        first = list_first(&waiters->list);
    }
    let_go(&ready);
}

void waiters_release_all(struct waiters *waiters)
{
    let_go(&waiters->list);
}

uint64_t waiters_next_ms(const struct waiters *waiters)
{
    struct list_link *first = list_first(&waiters->list);
    return first != NULL ? waiter_of(first)->deadline_ms : UINT64_MAX;
}
