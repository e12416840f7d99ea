#include "core/bus/interest.h"

#include "core/base/mem.h"

static struct interest_room *room_of(struct list_link *link)
{
    return LIST_ENTRY(link, struct interest_room, link);
}

void interest_init(struct interest *interest)
{
    *interest = (struct interest){0};
    map_init(&interest->rooms);
    list_init(&interest->changed);
    list_init(&interest->asked);
    list_init(&interest->refused);
}

void interest_fini(struct interest *interest)
{
    size_t at = 0;
    for (void *room; (room = map_next(&interest->rooms, &at)) != NULL;)
        mem_free(room);
    map_fini(&interest->rooms);
    list_init(&interest->changed);
    list_init(&interest->asked);
    list_init(&interest->refused);
}

static void unmark_first(struct interest *interest, struct interest_room *room)
{
    if (room->is_first)
        interest->first_left--;
    room->is_first = false;
}

/* A room that nobody wants and that Redis knows nothing of is forgotten, so that memory follows
 * the rooms there are and not those there were. */
static void forget(struct interest *interest, struct interest_room *room)
{
    unmark_first(interest, room);
    list_remove(&room->link);
    map_remove(&interest->rooms, interest_room_name(room));
    mem_free(room);
}

/* What is to be done about the room as it is now; may free it. */
static void review(struct interest *interest, struct interest_room *room)
{
    bool is_known = room->state == INTEREST_STANDS;
    if (room->state == INTEREST_ASKED || room->state == INTEREST_ENDING)
        return; /* the answer comes first */
    if (!is_known && !room->wanted)
        forget(interest, room);
    else if (room->state != INTEREST_REFUSED && room->wanted != is_known &&
             !list_has_link(&room->link))
        list_push_back(&interest->changed, &room->link);
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
    review(interest, room);
    return ERR_OK;
}

void interest_begin(struct interest *interest)
{
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
    interest->first_left = 0;
    interest->standing = 0;
    for (struct interest_room *room; (room = map_next(&interest->rooms, &at)) != NULL;) {
        room->state = INTEREST_IDLE;
        room->is_first = false;
        list_move_back(room->wanted ? &interest->changed : &idle, &room->link);
    }
    /* Not in the walk: the map must not change meanwhile. */
    while (!list_is_empty(&idle))
        forget(interest, room_of(list_first(&idle)));
}

struct interest_room *interest_next(struct interest *interest, uint64_t answer)
{
    for (struct list_link *link; (link = list_pop_front(&interest->changed)) != NULL;) {
        struct interest_room *room = room_of(link);
        bool is_known = room->state == INTEREST_STANDS;
        unmark_first(interest, room);
        if (room->wanted == is_known)
            continue;
        if (is_known)
            interest->standing--;
        room->state = is_known ? INTEREST_ENDING : INTEREST_ASKED;
        room->answer = answer;
        list_push_back(&interest->asked, &room->link);
        return room;
    }
    return NULL;
}

bool interest_confirm(struct interest *interest, struct slice name)
{
    struct interest_room *room = map_get(&interest->rooms, name);
    if (room == NULL || (room->state != INTEREST_ASKED && room->state != INTEREST_ENDING))
        return false;
    bool stands = room->state == INTEREST_ASKED;
    list_remove(&room->link);
    room->state = stands ? INTEREST_STANDS : INTEREST_IDLE;
    if (stands)
        interest->standing++;
    review(interest, room);
    return stands;
}

struct interest_room *interest_find_asked(const struct interest *interest, uint64_t answer)
{
    struct list_link *first = list_first(&interest->asked);
    struct interest_room *room = first != NULL ? room_of(first) : NULL;
    bool is_it = room != NULL && room->answer == answer && room->state == INTEREST_ASKED;
    return is_it ? room : NULL;
}

void interest_refuse(struct interest *interest, struct interest_room *room, uint64_t told_ms)
{
    room->state = INTEREST_REFUSED;
    room->told_ms = told_ms;
    list_move_back(&interest->refused, &room->link);
    review(interest, room);
}

const struct interest_room *interest_next_refused(struct interest *interest, uint64_t now_ms)
{
    if (now_ms < interest_next_refused_ms(interest))
        return NULL;
    return room_of(list_pop_front(&interest->refused));
}

uint64_t interest_next_refused_ms(const struct interest *interest)
{
    struct list_link *first = list_first(&interest->refused);
    return first != NULL ? room_of(first)->told_ms : UINT64_MAX;
}

bool interest_is_awaited(const struct interest *interest, struct slice name)
{
    const struct interest_room *room = map_get(&interest->rooms, name);
    return room != NULL && room->wanted && room->state != INTEREST_STANDS &&
           room->state != INTEREST_REFUSED;
}

bool interest_is_refused(const struct interest *interest, struct slice name)
{
    const struct interest_room *room = map_get(&interest->rooms, name);
    return room != NULL && room->state == INTEREST_REFUSED;
}
