/*
 * Where a client is. The room of its path has its membership in the client itself; every further
 * one, hidden ones included, is a seat of its own.
 */
#include "core/chat/client_io.h"

#include "core/base/mem.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/shard.h"

struct seat {
    struct seat *next;
    struct membership membership;
};

/* --- one membership --- */

static void release(struct client *client, struct membership *membership)
{
    struct shard *shard = client->shard;
    if (membership->index != MEMBERSHIP_OUT)
        room_part_remove(&membership->room->parts[shard->index], membership);
    hub_release_membership(shard->hub, membership, shard->index, client->deflate_out);
}

static enum err stand_in(struct client *client, struct membership *membership)
{
    struct room *room = membership->room;
    return room != NULL ? room_part_add(&room->parts[client->shard->index], client, membership)
                        : ERR_OK;
}

/* --- seats --- */

static struct seat **find_seat(struct client *client, struct slice name)
{
    struct seat **at = &client->seats;
    while (*at != NULL && !slice_equals((*at)->membership.room->name, name))
        at = &(*at)->next;
    return at;
}

static enum err reserve(struct client *client, struct slice name)
{
    struct shard *shard = client->shard;
    struct seat *seat = mem_try_alloc(sizeof *seat);
    if (seat == NULL || hub_enter(shard->hub, name, shard->index, client->deflate_out,
                                  &seat->membership) != ERR_OK) {
        mem_free(seat);
        return ERR_NOMEM;
    }
    seat->next = client->seats;
    client->seats = seat;
    return ERR_OK;
}

static void vacate(struct client *client, struct seat **at)
{
    struct seat *seat = *at;
    if (seat == NULL)
        return;
    client_queue_taken_of(client, &seat->membership);
    *at = seat->next;
    release(client, &seat->membership);
    mem_free(seat);
}

/* --- from the start --- */

static enum err reserve_events(struct client *client, struct slice name)
{
    char events[ROOM_KEY_MAX];
    return reserve(client, room_events_name(name, events));
}

enum err client_reserve_rooms(struct client *client)
{
    char name[sizeof ROOM_USER_PREFIX - 1 + UUID_TEXT_LEN];
    struct slice users = slice_of(name, sizeof name);
    if (!client->events)
        return ERR_OK;
    memcpy(name, ROOM_USER_PREFIX, sizeof ROOM_USER_PREFIX - 1);
    memcpy(name + sizeof ROOM_USER_PREFIX - 1, client->id, UUID_TEXT_LEN);
    enum err err = reserve(client, users);
    if (err == ERR_OK)
        err = reserve_events(client, users);
    if (err == ERR_OK && client->room.room != NULL)
        err = reserve_events(client, client->room.room->name);
    while (err != ERR_OK && client->seats != NULL)
        vacate(client, &client->seats);
    return err;
}

enum err client_enter_reserved(struct client *client)
{
    enum err err = stand_in(client, &client->global);
    if (err == ERR_OK)
        err = stand_in(client, &client->room);
    for (struct seat *seat = client->seats; err == ERR_OK && seat != NULL; seat = seat->next)
        err = stand_in(client, &seat->membership);
    return err;
}

void client_leave_rooms(struct client *client)
{
    while (client->seats != NULL)
        vacate(client, &client->seats);
    if (client->room.room != NULL)
        release(client, &client->room);
    release(client, &client->global);
}

void client_queue_taken(struct client *client)
{
    client_queue_taken_of(client, &client->room);
    for (struct seat *seat = client->seats; seat != NULL; seat = seat->next)
        client_queue_taken_of(client, &seat->membership);
    client_queue_taken_of(client, &client->global);
}

/* --- later --- */

struct room *client_find_room(const struct client *client, struct slice name)
{
    struct room *room = client->room.room;
    if (room != NULL && slice_equals(room->name, name))
        return room;
    for (const struct seat *seat = client->seats; seat != NULL; seat = seat->next)
        if (slice_equals(seat->membership.room->name, name))
            return seat->membership.room;
    return NULL;
}

unsigned client_room_count(const struct client *client)
{
    unsigned count = client->room.room != NULL;
    for (const struct seat *seat = client->seats; seat != NULL; seat = seat->next)
        count += !seat->membership.room->hidden;
    return count;
}

/* Into one group; what the turn brought it before is not for this member. */
static enum err enter(struct client *client, struct slice name)
{
    enum err err = reserve(client, name);
    if (err != ERR_OK)
        return err;
    struct membership *membership = &client->seats->membership;
    struct room_part *part = &membership->room->parts[client->shard->index];
    struct batch *batch = room_part_batch(part, client->deflate_out);
    err = stand_in(client, membership);
    membership->taken_of = batch;
    membership->taken = batch != NULL ? batch->len : 0;
    if (err != ERR_OK)
        vacate(client, &client->seats);
    return err;
}

enum err client_enter_room(struct client *client, struct slice name)
{
    char events[ROOM_KEY_MAX];
    if (client_find_room(client, name) != NULL)
        return ERR_OK;
    enum err err = enter(client, name);
    if (err == ERR_OK && client->events) {
        err = enter(client, room_events_name(name, events));
        if (err != ERR_OK)
            vacate(client, find_seat(client, name));
    }
    return err;
}

void client_leave_room(struct client *client, struct slice name)
{
    char events[ROOM_KEY_MAX];
    struct room *room = client->room.room;
    if (room != NULL && slice_equals(room->name, name)) {
        client_queue_taken_of(client, &client->room);
        release(client, &client->room);
    } else {
        vacate(client, find_seat(client, name));
    }
    vacate(client, find_seat(client, room_events_name(name, events)));
}
