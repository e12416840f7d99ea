#pragma once

/*
 * Which rooms of a directory go into a list of bounded length: the largest, or the next by name.
 *
 * Threads: whoever holds the directory's lock.
 * Owns: nothing; rooms and names are borrowed for the call.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/base/slice.h"

struct map;
struct room;

struct room_pick {
    struct slice prefix; /* of their names */
    struct slice after;  /* their names come behind this one; ptr NULL: all do */
    /* Whether `a` goes rather than `b` when there are too many. */
    bool (*goes_first)(const struct room *a, const struct room *b);
};

struct room_pick room_pick_largest(void);
/* Those whose names begin with `prefix` and come behind `after`, the first of them kept. */
struct room_pick room_pick_next(struct slice prefix, struct slice after);

/* Writes at most `max` rooms of the directory, in no order, and returns how many; hidden rooms are
 * none of them. */
size_t room_pick_from(const struct room_pick *pick, const struct map *rooms, struct room **out,
                      size_t max);

/* By bytes; below, at or above zero. */
int room_compare_names(struct slice a, struct slice b);
