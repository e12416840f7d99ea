/*
 * The rooms of this pod's users. A seat stands in two places: in the list of its user, which is
 * short, and in the array of its room, where it knows its place.
 */
#include "core/base/mem.h"
#include "core/presence/roster.h"

struct roster_room *roster_find_room(const struct roster *roster, struct slice name)
{
    return map_get(&roster->rooms, name);
}

struct roster_room *roster_need_room(struct roster *roster, struct slice name)
{
    struct roster_room *room = roster_find_room(roster, name);
    if (room != NULL)
        return room;
    room = mem_try_alloc(sizeof *room + name.len);
    if (room == NULL)
        return NULL;
    *room = (struct roster_room){.name_len = (unsigned)name.len};
    memcpy(room->name, name.ptr, name.len);
    buf_init(&room->pending, SIZE_MAX / 2);
    if (map_add(&roster->rooms, roster_room_name(room), room) != ERR_OK) {
        mem_free(room);
        return NULL;
    }
    return room;
}

void roster_forget_room(struct roster *roster, struct roster_room *room)
{
    if (room->count != 0 || room->events != 0 || room->replica != NULL)
        return;
    map_remove(&roster->rooms, roster_room_name(room));
    list_remove(&room->dirty);
    buf_fini(&room->pending);
    mem_free(room->seats);
    mem_free(room);
}

static enum err place(struct roster_room *room, struct roster_seat *seat)
{
    if (room->count == room->cap) {
        uint32_t cap = room->cap != 0 ? 2 * room->cap : 1;
        struct roster_seat **seats = mem_try_resize(room->seats, cap, sizeof *seats);
        if (seats == NULL)
            return ERR_NOMEM;
        room->seats = seats;
        room->cap = cap;
    }
    seat->index = room->count;
    room->seats[room->count++] = seat;
    return ERR_OK;
}

static void unplace(struct roster_room *room, const struct roster_seat *seat)
{
    struct roster_seat *last = room->seats[--room->count];
    room->seats[seat->index] = last;
    last->index = seat->index;
}

static struct roster_seat **find_seat(struct roster_user *user, const struct roster_room *room)
{
    struct roster_seat **at = &user->seats;
    while (*at != NULL && (*at)->room != room)
        at = &(*at)->next;
    return at;
}

/* Everybody is in the room of all; only who asked to be told enters it. */
static bool is_of_all(const struct roster_room *room)
{
    return slice_equals_str(roster_room_name(room), PRESENCE_GLOBAL);
}

enum err roster_enter(struct roster *roster, struct presence_client *client,
                      struct roster_room *room, struct roster_time time)
{
    struct roster_user *user = roster_user_of(client);
    struct roster_seat *seat = *find_seat(user, room);
    room->events += client->events; /* without memory, too: it leaves like any other */
    if (seat == NULL && !is_of_all(room)) {
        seat = slab_try_alloc(&roster->seats);
        if (seat == NULL)
            return ERR_NOMEM;
        *seat = (struct roster_seat){
            .room = room, .user = user, .next = user->seats, .since_ms = time.wall_ms};
        if (place(room, seat) != ERR_OK) {
            slab_free(&roster->seats, seat);
            return ERR_NOMEM;
        }
        user->seats = seat;
    }
    if (seat == NULL)
        return ERR_OK;
    seat->clients++;
    roster->opts.changed(roster->opts.arg, user, seat);
    return ERR_OK;
}

void roster_leave(struct roster *roster, struct presence_client *client, struct roster_room *room)
{
    struct roster_user *user = roster_user_of(client);
    struct roster_seat **at = find_seat(user, room), *seat = *at;
    if (room->events != 0)
        room->events -= client->events;
    if (seat == NULL)
        return;
    seat->clients--;
    roster->opts.changed(roster->opts.arg, user, seat);
    if (seat->clients != 0)
        return;
    *at = seat->next;
    unplace(room, seat);
    slab_free(&roster->seats, seat);
}
