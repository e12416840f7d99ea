#include "core/bus/channel.h"

#include <CUnit/CUnit.h>
#include <string.h>

static void rooms_have_their_channels(void)
{
    static const struct {
        const char *room, *channel;
    } rows[] = {
        {"lobby", "realtime:room:lobby"},      {"user:ada", "realtime:room:user:ada"},
        {"/lobby", "realtime-events/lobby"},   {"//", "realtime-control"},
        {"//pod-1", "realtime-control:pod-1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice parts[2];
        char text[200];
        channel_of_room(slice_str(rows[i].room), parts);
        CU_ASSERT_FATAL(parts[0].len + parts[1].len < sizeof text);
        memcpy(text, parts[0].ptr, parts[0].len);
        memcpy(text + parts[0].len, parts[1].ptr, parts[1].len);
        CU_ASSERT_TRUE(
            slice_equals_str(slice_of(text, parts[0].len + parts[1].len), rows[i].channel));
    }
}

static void channels_of_rooms_are_found(void)
{
    static const struct {
        const char *channel, *room; /* NULL: none */
    } rows[] = {
        {"realtime:room:lobby", "lobby"},
        {"realtime-events/lobby", "/lobby"},
        {"realtime:room:", NULL},
        {"realtime:room:a/b", NULL},
        {"realtime:room:/a", NULL},
        {"realtime-events", NULL},
        {"realtime-events/", NULL},
        {"realtime-eventsa", NULL},
        {"realtime-events//pod", NULL},
        {"realtime-control", NULL},
        {"realtime-control:pod", NULL},
        {"realtime:global", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice room = SLICE_NONE;
        bool found = channel_find_room(slice_str(rows[i].channel), &room);
        if (found != (rows[i].room != NULL) || (found && !slice_equals_str(room, rows[i].room)))
            CU_FAIL(rows[i].channel);
    }
}

static void pods_have_names_that_no_room_has(void)
{
    char out[CHANNEL_POD_MAX];
    CU_ASSERT_TRUE(slice_equals_str(channel_name_pod(SLICE_NONE, out), "//"));
    CU_ASSERT_TRUE(slice_equals_str(channel_name_pod(slice_str("pod"), out), "//pod"));
    char longest[CHANNEL_POD_MAX - 2];
    memset(longest, 'x', sizeof longest);
    struct slice name = channel_name_pod(slice_of(longest, sizeof longest), out);
    CU_ASSERT_EQUAL(name.len, CHANNEL_POD_MAX);
}

CU_TestInfo channel_tests[] = {
    {"rooms_have_their_channels", rooms_have_their_channels},
    {"channels_of_rooms_are_found", channels_of_rooms_are_found},
    {"pods_have_names_that_no_room_has", pods_have_names_that_no_room_has},
    CU_TEST_INFO_NULL,
};
