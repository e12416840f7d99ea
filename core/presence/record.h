#pragma once

/*
 * What a pod says about one of its users in one room, and how it is written for other pods.
 *
 *     [rev, clients, since, stamp, "busy", "name", "text"]     trailing defaults are left out
 *
 * Such an array is the value of a field of a room's hash in Redis, and comes in signals:
 *
 *     {"presence":{"lease":"…","set":[["user",[…]],…]}}                  to a room's events group
 *     {"presence":{"lease":"…","user":{"ask":true,"idle":false,…},…}}    to a user's events group
 *     {"presence":{"lease":"…","typing":["user",true],…}}                to a room's events group
 *
 * Threads: any; nothing is kept.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/slice.h"

enum presence_status {
    PRESENCE_ONLINE,
    PRESENCE_AWAY,
    PRESENCE_BUSY,
    PRESENCE_OFFLINE, /* there, and not to be seen */
    PRESENCE_STATUSES
};

enum {
    PRESENCE_TEXT_MAX = 140, /* bytes of the text beside a status */
    PRESENCE_USER_MAX = 128,
    LEASE_ID_LEN = 16,
};

/* The group where clients are told of everybody's coming and going, and the room of it all. */
#define PRESENCE_GLOBAL "presence:global"

struct record {
    uint64_t rev; /* a later word of the same pod has a larger one */
    uint32_t
        clients; /* of the user in the room on that pod; 0: gone, the status is what it chose */
    uint64_t since_ms; /* wall clock */
    uint64_t stamp_ms; /* wall clock, when the status changed; 0: never */
    enum presence_status status;
    struct slice name; /* ptr NULL: none */
    struct slice text; /* empty: none */
};

/* What pods tell each other about a user who has clients on several of them. */
struct note {
    bool ask;          /* the pod wants to know what others know */
    bool gone;         /* the pod has no client of the user any more */
    bool idle;         /* its clients are silent */
    uint64_t stamp_ms; /* when the user chose its status; 0: never */
    enum presence_status status;
    struct slice text;
};

const char *presence_status_name(enum presence_status status);
bool presence_status_parse(struct slice name, enum presence_status *out);

void record_append(struct buf *buf, const struct record *record);
void note_append(struct buf *buf, const struct note *note);

/* Reads a hash's value and calls `take` with the record, good for the call. False: no such. */
bool record_read(struct slice json, void (*take)(void *arg, const struct record *record),
                 void *arg);

struct signal_handlers {
    void *arg;
    void (*on_set)(void *arg, struct slice lease, struct slice user, const struct record *record);
    void (*on_note)(void *arg, struct slice lease, const struct note *note);
    void (*on_typing)(void *arg, struct slice user, bool typing);
};

/* Whether the payload of a pod is a signal about presence. */
bool signal_is_presence(struct slice json);
/* Reads one; false: it is not in order, and what came before the fault was handled. */
bool signal_read(struct slice json, const struct signal_handlers *handlers);
