#include "core/bus/interest.h"

#include "core/base/mem.h"

static struct interest_room *room_of(struct list_link *link)
{
    return LIST_ENTRY(link, struct interest_room, link);
}

static bool stands(const struct interest_room *room)
{
    return room->asked && room->pending == 0;
}

void interest_init(struct interest *interest)
{
    *interest = (struct interest){0};
    map_init(&interest->rooms);
    list_init(&interest->changed);
}

void interest_fini(struct interest *interest)
{
    size_t at = 0;
    for (void *room; (room = map_next(&interest->rooms, &at)) != NULL;)
        mem_free(room);
    map_fini(&interest->rooms);
    list_init(&interest->changed);
}

static void unmark_first(struct interest *interest, struct interest_room *room)
{
    if (room->is_first)
        interest->first_left--;
    room->is_first = false;
}

/* A room that nobody wants and that Redis knows nothing of is forgotten, so that memory follows
 * the rooms there are and not those there were. */
static void forget_if_idle(struct interest *interest, struct interest_room *room)
{
    if (room->wanted || room->asked || room->pending > 0)
        return;
    unmark_first(interest, room);
    list_remove(&room->link);
    map_remove(&interest->rooms, interest_room_name(room));
    mem_free(room);
}

/* NULL when there is no memory. */
static struct interest_room *add_room(struct interest *interest, struct slice name)
{
    struct interest_room *room = mem_try_alloc(sizeof *room + name.len);
    if (room == NULL)
        return NULL;
    *room = (struct interest_room){.name_len = (uint32_t)name.len};
    memcpy(room->name, name.ptr, name.len);
    if (map_add(&interest->rooms, interest_room_name(room), room) != ERR_OK) {
        mem_free(room);
        return NULL;
    }
    return room;
}

enum err interest_want(struct interest *interest, struct slice name, bool wanted)
{
    struct interest_room *room = map_get(&interest->rooms, name);
    if (room == NULL && !wanted)
        return ERR_OK;
    if (room == NULL && (room = add_room(interest, name)) == NULL)
        return ERR_NOMEM;
    room->wanted = wanted;
    if (room->wanted != room->asked && !list_has_link(&room->link))
        list_push_back(&interest->changed, &room->link);
    forget_if_idle(interest, room);
    return ERR_OK;
}

void interest_begin(struct interest *interest)
{
    interest->begun = true;
    interest->first_left = 0;
    for (struct list_link *at = interest->changed.head.next; at != &interest->changed.head;
         at = at->next) {
        room_of(at)->is_first = true;
        interest->first_left++;
    }
}

void interest_reset(struct interest *interest)
{
    struct list idle;
    size_t at = 0;
    list_init(&idle);
    interest->begun = false;
    interest->first_left = 0;
    interest->standing = 0;
    for (struct interest_room *room; (room = map_next(&interest->rooms, &at)) != NULL;) {
        room->asked = room->is_first = false;
        room->pending = 0;
        list_move_back(room->wanted ? &interest->changed : &idle, &room->link);
    }
    /* Not in the walk: the map must not change meanwhile. */
    while (!list_is_empty(&idle))
        forget_if_idle(interest, room_of(list_first(&idle)));
}

struct interest_room *interest_next(struct interest *interest)
{
    for (struct list_link *link; (link = list_pop_front(&interest->changed)) != NULL;) {
        struct interest_room *room = room_of(link);
        unmark_first(interest, room);
        if (room->wanted == room->asked)
            continue;
        if (stands(room))
            interest->standing--;
        room->asked = room->wanted;
        room->pending++;
        return room;
    }
    return NULL;
}

bool interest_confirm(struct interest *interest, struct slice name)
{
    struct interest_room *room = map_get(&interest->rooms, name);
    if (room == NULL || room->pending == 0)
        return false;
    room->pending--;
    if (stands(room)) {
        interest->standing++;
        return true;
    }
    forget_if_idle(interest, room);
    return false;
}

bool interest_is_awaited(const struct interest *interest, struct slice name)
{
    const struct interest_room *room = map_get(&interest->rooms, name);
    return room != NULL && room->wanted && !stands(room);
}
