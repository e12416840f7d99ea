#pragma once

/*
 * A page of the list of rooms, put together from what each pod has.
 *
 * Each pod tells of the first `limit + 1` of its rooms behind the last page, in the order of names.
 * So the first `limit` names of all together are complete, and one more says that there is another
 * page.
 *
 * Threads: one at a time.
 * Owns: its rows.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/chat/hub.h"

enum {
    ROOM_LIST_DEFAULT = 100, /* rooms of a page */
    ROOM_LIST_MAX = 1000,
};

struct room_query {
    unsigned limit;
    bool has_after;
    size_t prefix_len, after_len; /* bytes */
    char prefix[ROOM_NAME_MAX];
    char after[ROOM_NAME_MAX]; /* the last name of the page before */
};

struct room_list {
    struct hub_room_count *rows; /* of all pods, in no order */
    size_t count, cap;
};

void room_list_init(struct room_list *list);
void room_list_fini(struct room_list *list);

/* Adds this pod's rooms. ERR_NOMEM: none of them. */
MUST_USE enum err room_list_add_own(struct room_list *list, struct hub *hub,
                                    const struct room_query *query);

/* Appends the rooms as one pod tells another: `{"lobby":2}`. */
void room_list_append(struct buf *buf, const struct room_list *list);

/* Adds rooms that another pod told; what is no room is left out. */
MUST_USE enum err room_list_add_told(struct room_list *list, struct slice json);

/* Appends the page: `"rooms":[{"room":"lobby","members":3}],"cursor":null`. Sorts the rows. */
void room_list_append_page(struct buf *buf, struct room_list *list, unsigned limit);
