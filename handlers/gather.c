/*
 * The list of open questions is all that two threads touch. A gather leaves it before its request
 * goes on, so an answer that comes later finds nothing.
 */
#include "handlers/gather.h"

void gathers_init(struct gathers *gathers)
{
    *gathers = (struct gathers){.bus = NULL};
    lock_init(&gathers->lock);
    list_init(&gathers->open);
}

void gathers_fini(struct gathers *gathers)
{
    lock_fini(&gathers->lock);
}

static void on_done(struct bus_waiter *waiter)
{
    struct gather *gather = LIST_ENTRY(waiter, struct gather, waiter);
    lock_acquire(&gather->gathers->lock);
    list_remove(&gather->link);
    lock_release(&gather->gathers->lock);
    MHD_resume_connection(gather->connection);
}

void gather_start(struct gathers *gathers, struct gather *gather, struct MHD_Connection *connection)
{
    gather->gathers = gathers;
    gather->connection = connection;
    gather->waiter = (struct bus_waiter){.room = SLICE_NONE, .done = on_done};
    lock_acquire(&gathers->lock);
    gather->number = ++gathers->last_number;
    list_push_back(&gathers->open, &gather->link);
    lock_release(&gathers->lock);
    MHD_suspend_connection(connection);
    bus_await(gathers->bus, &gather->waiter);
}

/* The open one that `is_it` accepts; NULL when there is none. */
static struct gather *find(struct gathers *gathers, uint64_t number,
                           bool (*is_it)(const struct gather *gather, uint64_t number))
{
    struct gather *found = NULL;
    lock_acquire(&gathers->lock);
    for (struct list_link *at = gathers->open.head.next; at != &gathers->open.head; at = at->next) {
        struct gather *gather = LIST_ENTRY(at, struct gather, link);
        if (is_it(gather, number))
            found = gather;
    }
    lock_release(&gathers->lock);
    return found;
}

static bool has_number(const struct gather *gather, uint64_t number)
{
    return gather->number == number;
}

static bool is_uncounted(const struct gather *gather, uint64_t number)
{
    return gather->number <= number && gather->pods == 0;
}

bool gather_is_complete(const struct gather *gather)
{
    return gather->pods != 0 && gather->answers + 1 >= gather->pods;
}

static void go_on_if_complete(struct gather *gather)
{
    if (gather_is_complete(gather))
        bus_let_go(gather->gathers->bus, &gather->waiter);
}

void gathers_note_reach(struct gathers *gathers, uint64_t number, size_t pods)
{
    if (pods == 0)
        return;
    for (struct gather *gather; (gather = find(gathers, number, is_uncounted)) != NULL;) {
        gather->pods = pods;
        go_on_if_complete(gather);
    }
}

void gathers_take(struct gathers *gathers, uint64_t number, struct slice rooms)
{
    struct gather *gather = find(gathers, number, has_number);
    /* Rooms that there is no memory for make the answer one that did not come. */
    if (gather == NULL || room_list_add_told(&gather->rooms, rooms) != ERR_OK)
        return;
    gather->answers++;
    go_on_if_complete(gather);
}
