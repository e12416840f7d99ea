/*
 * The name of a Redis channel: whose room it is, told by regular expression and jansson as well;
 * and the room's channel is the one that was asked about.
 */
#include <jansson.h>
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/bus/channel.h"
#include "core/chat/room.h"

/* Neither control characters (C1's are two octets) nor a slash. */
#define NAME "([^\x01-\x1F\x7F/\xC2]|\xC2[^\x80-\x9F])+"

enum { TEXT_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Where the room's name begins, 0: it is no room's channel. */
static size_t model_room(const char *text)
{
    static regex_t regex;
    static bool compiled;
    regmatch_t match[3];
    if (!compiled)
        require(regcomp(&regex, "^realtime(:room:|-events/)(" NAME ")$", REG_EXTENDED) == 0);
    compiled = true;
    if (regexec(&regex, text, 3, match, 0) != 0 || match[2].rm_eo - match[2].rm_so > ROOM_NAME_MAX)
        return 0;
    json_t *json = json_string(text); /* which looks whether it is UTF-8 */
    json_decref(json);
    bool is_events = text[match[2].rm_so - 1] == '/';
    return json != NULL ? (size_t)match[2].rm_so - (is_events ? 1 : 0) : 0;
}

static void check_room(struct slice channel, struct slice room)
{
    char events[ROOM_KEY_MAX];
    struct slice parts[2], name = room.ptr[0] == '/' ? slice_skip(room, 1) : room;
    struct buf whole;
    require(room.len <= CHANNEL_ROOM_MAX && room_check_name(name).code == FAULT_NONE);
    require(name.len == room.len || slice_equals(room_events_name(name, events), room));
    buf_init(&whole, TEXT_MAX);
    channel_of_room(room, parts);
    buf_append_slice(&whole, parts[0]);
    buf_append_slice(&whole, parts[1]);
    require(slice_equals(buf_slice(&whole), channel));
    buf_fini(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice channel = slice_of(data, size), room = SLICE_NONE;
    char text[TEXT_MAX + 1] = "";
    bool is_room = channel_find_room(channel, &room);
    if (size <= TEXT_MAX)
        memcpy(text, data, size);
    /* A longer name, and one with a NUL, is no room's. */
    size_t at = strlen(text) == size ? model_room(text) : 0;
    require(is_room == (at != 0));
    if (!is_room)
        return 0;
    require(slice_equals(room, slice_skip(channel, at)));
    check_room(channel, room);
    return 0;
}
