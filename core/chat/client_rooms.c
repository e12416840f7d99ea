/*
 * Where a client is. A plain client's first room has its membership in the client itself, which
 * keeps an idle client small; every other room is a seat. A seat is counted in at once and enters
 * the arrays in the mailbox, and the same way out, so that a client's own messages keep their place
 * before and behind.
 */
#include "core/chat/client_io.h"

#include "core/base/mem.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"

struct seat {
    struct seat *next;
    struct membership room;
    struct membership events; /* of the room's events clients; room NULL: a plain client's seat */
    bool leaving;             /* no longer counts for the client */
    bool told;                /* its beginning was (hub_opts.on_member) */
};

static const struct membership nowhere = {.index = MEMBERSHIP_OUT};

/* --- one membership --- */

static void release(struct client *client, struct membership *membership)
{
    struct shard *shard = client->shard;
    if (membership->room == NULL)
        return;
    if (membership->index != MEMBERSHIP_OUT)
        room_part_remove(&membership->room->parts[shard->index], membership);
    hub_release_membership(shard->hub, membership, shard->index, client->deflate_out);
}

/* Into the array; what the turn brought the room before is not for this member. */
static enum err stand_in(struct client *client, struct membership *membership)
{
    if (membership->room == NULL || membership->index != MEMBERSHIP_OUT)
        return ERR_OK;
    struct room_part *part = &membership->room->parts[client->shard->index];
    struct batch *batch = room_part_batch(part, client->deflate_out);
    membership->taken_of = batch;
    membership->taken = batch != NULL ? batch->len : 0;
    return room_part_add(part, client, membership);
}

/* Hidden rooms concern nobody. */
static void tell(struct client *client, const struct room *room, bool joined)
{
    const struct hub_opts *opts = hub_opts(client->shard->hub);
    if (opts->on_member != NULL && (room == NULL || !room->hidden))
        opts->on_member(opts->arg, client, room != NULL ? room->name : SLICE_NONE, joined);
}

/* --- seats --- */

/* Counts the client into the room's group of events clients. */
static enum err reserve_events(struct client *client, struct seat *seat)
{
    char name[ROOM_KEY_MAX];
    struct shard *shard = client->shard;
    if (!client->events)
        return ERR_OK;
    return hub_enter(shard->hub, room_events_name(seat->room.room->name, name), shard->index,
                     client->deflate_out, &seat->events);
}

static struct seat *add_seat(struct client *client)
{
    struct seat *seat = mem_try_alloc(sizeof *seat);
    if (seat == NULL)
        return NULL;
    *seat = (struct seat){.next = client->seats, .room = nowhere, .events = nowhere};
    client->seats = seat;
    return seat;
}

static void vacate(struct client *client, struct seat *seat)
{
    struct seat **at = &client->seats;
    while (*at != seat)
        at = &(*at)->next;
    *at = seat->next;
    if (seat->told)
        tell(client, seat->room.room, false);
    client_queue_taken_of(client, &seat->room);
    client_queue_taken_of(client, &seat->events);
    release(client, &seat->room);
    release(client, &seat->events);
    mem_free(seat);
}

static enum err take_seat(struct client *client, struct seat *seat)
{
    enum err err = stand_in(client, &seat->room);
    if (err == ERR_OK)
        err = stand_in(client, &seat->events);
    seat->told = err == ERR_OK;
    if (seat->told)
        tell(client, seat->room.room, true);
    return err;
}

static struct seat *find_seat(const struct client *client, struct slice name)
{
    for (struct seat *seat = client->seats; seat != NULL; seat = seat->next)
        if (!seat->leaving && slice_equals(seat->room.room->name, name))
            return seat;
    return NULL;
}

/* --- from the start --- */

/* An events client's first room becomes a seat: its membership is in no array yet. */
static enum err seat_first_room(struct client *client)
{
    struct seat *seat = add_seat(client);
    if (seat == NULL)
        return ERR_NOMEM;
    seat->room = client->room;
    enum err err = reserve_events(client, seat);
    if (err != ERR_OK)
        seat->room = nowhere; /* the caller's still */
    else
        client->room = nowhere;
    if (err != ERR_OK)
        vacate(client, seat);
    return err;
}

enum err client_reserve_rooms(struct client *client)
{
    char name[ROOM_NAME_MAX];
    struct seat *seat = NULL;
    if (client->user == NULL && !client->events)
        return ERR_OK;
    struct slice users = room_users_name(client_user_id(client), name);
    bool is_first = client->room.room != NULL && slice_equals(client->room.room->name, users);
    if (!is_first && (seat = client_reserve_room(client, users)) == NULL)
        return ERR_NOMEM;
    if (!client->events || client->room.room == NULL || seat_first_room(client) == ERR_OK)
        return ERR_OK;
    if (seat != NULL)
        vacate(client, seat);
    return ERR_NOMEM;
}

enum err client_enter_reserved(struct client *client)
{
    enum err err = stand_in(client, &client->global);
    if (err == ERR_OK)
        err = stand_in(client, &client->room);
    client->told = err == ERR_OK;
    if (client->told)
        tell(client, NULL, true);
    if (client->told && client->room.room != NULL)
        tell(client, client->room.room, true);
    for (struct seat *seat = client->seats; err == ERR_OK && seat != NULL; seat = seat->next)
        err = take_seat(client, seat);
    return err;
}

void client_leave_rooms(struct client *client)
{
    while (client->seats != NULL)
        vacate(client, client->seats);
    if (client->told && client->room.room != NULL)
        tell(client, client->room.room, false);
    if (client->told)
        tell(client, NULL, false);
    release(client, &client->room);
    release(client, &client->global);
}

void client_queue_taken(struct client *client)
{
    client_queue_taken_of(client, &client->room);
    for (struct seat *seat = client->seats; seat != NULL; seat = seat->next) {
        client_queue_taken_of(client, &seat->room);
        client_queue_taken_of(client, &seat->events);
    }
    client_queue_taken_of(client, &client->global);
}

/* --- later --- */

struct room *client_find_room(const struct client *client, struct slice name)
{
    struct room *room = client->room.room;
    if (room != NULL && slice_equals(room->name, name))
        return room;
    const struct seat *seat = find_seat(client, name);
    return seat != NULL ? seat->room.room : NULL;
}

struct room *client_find_room_that(const struct client *client,
                                   bool (*fits)(const void *arg, struct slice name),
                                   const void *arg)
{
    struct room *room = client->room.room;
    if (room != NULL && fits(arg, room->name))
        return room;
    for (const struct seat *seat = client->seats; seat != NULL; seat = seat->next)
        if (!seat->leaving && fits(arg, seat->room.room->name))
            return seat->room.room;
    return NULL;
}

unsigned client_room_count(const struct client *client)
{
    const struct room *first = client->room.room;
    unsigned count = first != NULL && !first->hidden;
    for (const struct seat *seat = client->seats; seat != NULL; seat = seat->next)
        count += !seat->leaving && !seat->room.room->hidden;
    return count;
}

struct seat *client_reserve_room(struct client *client, struct slice name)
{
    struct shard *shard = client->shard;
    struct seat *seat = add_seat(client);
    if (seat == NULL)
        return NULL;
    if (hub_enter(shard->hub, name, shard->index, client->deflate_out, &seat->room) == ERR_OK &&
        reserve_events(client, seat) == ERR_OK)
        return seat;
    vacate(client, seat);
    return NULL;
}

enum err client_take_seat(struct client *client, struct seat *seat)
{
    enum err err = take_seat(client, seat);
    if (err != ERR_OK && !seat->leaving)
        vacate(client, seat);
    return err;
}

/* The plain client's first room becomes a seat, too, before it is left. */
static struct seat *move_first_room(struct client *client)
{
    struct seat *seat = add_seat(client);
    if (seat == NULL)
        return NULL;
    seat->room = client->room;
    seat->told = client->told;
    client->room = nowhere;
    room_part_move(&seat->room.room->parts[client->shard->index], &seat->room);
    return seat;
}

enum err client_begin_leaving(struct client *client, struct slice name, struct seat **out)
{
    struct room *first = client->room.room;
    bool is_first = first != NULL && slice_equals(first->name, name);
    *out = is_first ? move_first_room(client) : find_seat(client, name);
    if (*out == NULL)
        return is_first ? ERR_NOMEM : ERR_OK;
    (*out)->leaving = true;
    return ERR_OK;
}

void client_vacate(struct client *client, struct seat *seat)
{
    vacate(client, seat);
}
