/* A heap of bounded size with the room on top that goes first: one look at each room, and memory
 * for those alone that are listed. */
#include "core/chat/room_pick.h"

#include <string.h>

#include "core/base/map.h"
#include "core/chat/room.h"

int room_compare_names(struct slice a, struct slice b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    if (order != 0 || a.len == b.len)
        return order;
    return a.len < b.len ? -1 : 1;
}

static bool is_smaller(const struct room *a, const struct room *b)
{
    return a->total < b->total;
}

static bool is_behind(const struct room *a, const struct room *b)
{
    return room_compare_names(a->name, b->name) > 0;
}

struct room_pick room_pick_largest(void)
{
    return (struct room_pick){.prefix = slice_str(""), .goes_first = is_smaller};
}

struct room_pick room_pick_next(struct slice prefix, struct slice after)
{
    return (struct room_pick){.prefix = prefix, .after = after, .goes_first = is_behind};
}

static bool is_wanted(const struct room_pick *pick, const struct room *room)
{
    return !room->hidden && slice_starts_with(room->name, pick->prefix) &&
           (pick->after.ptr == NULL || room_compare_names(room->name, pick->after) > 0);
}

/* A heap with the one of the kept rooms on top that goes first. */
static void sift_down(const struct room_pick *pick, struct room **heap, size_t count, size_t i)
{
    for (;;) {
        size_t first = i, left = 2 * i + 1;
        for (size_t child = left; child <= left + 1 && child < count; child++)
            if (pick->goes_first(heap[child], heap[first]))
                first = child;
        if (first == i)
            return;
        struct room *swap = heap[i];
        heap[i] = heap[first];
        heap[first] = swap;
        i = first;
    }
}

size_t room_pick_from(const struct room_pick *pick, const struct map *rooms, struct room **out,
                      size_t max)
{
    size_t count = 0, at = 0;
    for (struct room *room; (room = map_next(rooms, &at)) != NULL;) {
        if (!is_wanted(pick, room))
            continue;
        if (count < max) {
            out[count++] = room;
            if (count == max)
                for (size_t i = max / 2 + 1; i-- > 0;)
                    sift_down(pick, out, count, i);
        } else if (max != 0 && pick->goes_first(out[0], room)) {
            out[0] = room;
            sift_down(pick, out, count, 0);
        }
    }
    return count;
}
