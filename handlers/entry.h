#pragma once

/*
 * One message as the HTTP API takes it: a body, or an element of a batch.
 *
 *     {"type":"chat","event":"…","data":…,"id":"…","from":"…","rooms":[…],"users":[…]}
 *
 * Threads: libmicrohttpd's.
 */

#include <stddef.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/chat/envelope.h"
#include "handlers/reply.h"

struct api;

/* Who an entry is for. */
enum entry_target {
    ENTRY_TO_PATH, /* the room that the path names; the entry names no other */
    ENTRY_TO_ALL,  /* neither rooms nor users are named: everybody */
    ENTRY_TO_LIST, /* the api's targets */
};

struct entry {
    struct envelope envelope;
    enum entry_target target;
    struct slice room; /* for ENTRY_TO_PATH */
};

/* What is left of what one request may publish. */
struct entry_budget {
    size_t publications;
    size_t bytes;
};

void entry_budget_init(struct entry_budget *budget);

/* Reads an entry for the room of a path (ptr NULL: it says itself whom it is for; the api's targets
 * are filled). Status 0, or why it is not taken. */
struct refusal entry_read(struct api *api, struct slice json, struct slice path_room,
                          struct entry *entry);

/* Publishes it, unless the budget does not allow it, and then nothing of it. Gives it its id and
 * time. */
struct refusal entry_publish(struct api *api, struct entry *entry, struct entry_budget *budget);

/* Appends the members `"id":…,"timestamp":…`. */
void entry_append(struct buf *buf, const struct entry *entry);
