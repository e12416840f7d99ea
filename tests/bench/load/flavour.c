#include "tests/bench/load/flavour.h"

#include <string.h>

static const struct flavour flavours[] = {
    {.name = "chat-api", .path = "/ws/bench-", .prefix = "{\"data\":", .suffix = "}"},
    {.name = "echo", .path = "/ws/bench-", .prefix = "", .suffix = ""},
    {.name = "lines", .path = "/ws/bench-", .prefix = "", .suffix = "", .lines = true},
    {.name = "socketio",
     .path = "/socket.io/?EIO=4&transport=websocket&room=bench-",
     .prefix = "42[\"m\",",
     .suffix = "]",
     .socketio = true},
};

const struct flavour *flavour_find(const char *name)
{
    for (size_t i = 0; i < sizeof flavours / sizeof *flavours; i++)
        if (strcmp(flavours[i].name, name) == 0)
            return &flavours[i];
    return NULL;
}

enum heard flavour_hear(const char *text, size_t len, const char **answer)
{
    if (len >= 2 && text[0] == '4' && text[1] == '2')
        return HEARD_MESSAGE;
    if (len >= 2 && text[0] == '4' && text[1] == '0')
        return HEARD_OPEN;
    if (len >= 1 && (text[0] == '0' || text[0] == '2')) {
        *answer = text[0] == '0' ? "40" : "3"; /* join the namespace, pong */
        return HEARD_ANSWER;
    }
    return HEARD_OTHER;
}
