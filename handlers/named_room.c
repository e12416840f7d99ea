#include "handlers/named_room.h"

#include <string.h>

#include "handlers/request.h"

enum { QUERY_ROOMS_MAX = 8 };

struct query_rooms {
    struct slice values[QUERY_ROOMS_MAX];
    size_t count;
};

static struct fault bad_room(const char *message)
{
    return (struct fault){.code = FAULT_CHANNEL_ERROR, .message = message, .field = "room"};
}

static struct fault decode(struct slice encoded, struct named_room *room)
{
    size_t len;
    enum err err = request_decode(encoded, room->bytes, sizeof room->bytes, &len);
    if (err == ERR_INVALID)
        return bad_room("a room's name has a broken percent-encoding");
    /* A name that is too long for the buffer is too long for a room. */
    room->name = err == ERR_FULL ? slice_of("", ROOM_NAME_MAX + 1) : slice_of(room->bytes, len);
    return room_check_name(room->name);
}

static struct fault take(struct named_room *room, struct slice encoded)
{
    struct named_room other;
    struct fault fault = decode(encoded, &other);
    if (fault.code != FAULT_NONE)
        return fault;
    if (room->name.ptr != NULL && !slice_equals(room->name, other.name))
        return bad_room("path and query name different rooms");
    memcpy(room->bytes, other.bytes, other.name.len);
    room->name = slice_of(room->bytes, other.name.len);
    return fault;
}

static enum MHD_Result collect(void *arg, enum MHD_ValueKind kind, const char *name,
                               const char *value)
{
    struct query_rooms *rooms = arg;
    (void)kind;
    if (strcmp(name, "room") != 0)
        return MHD_YES;
    if (rooms->count < QUERY_ROOMS_MAX)
        rooms->values[rooms->count] = slice_str(value != NULL ? value : "");
    rooms->count++;
    return MHD_YES;
}

struct fault named_room_find(const struct request *request, struct named_room *room)
{
    struct query_rooms query = {.count = 0};
    struct fault fault = {.code = FAULT_NONE};
    room->name = SLICE_NONE;
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, collect, &query);
    if (request->rest.ptr != NULL)
        fault = take(room, request->rest);
    if (fault.code == FAULT_NONE && query.count > QUERY_ROOMS_MAX)
        fault = bad_room("the query names too many rooms");
    for (size_t i = 0; i < query.count && fault.code == FAULT_NONE; i++)
        fault = take(room, query.values[i]);
    if (fault.code != FAULT_NONE)
        room->name = SLICE_NONE;
    return fault;
}
