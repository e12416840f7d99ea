#include "core/chat/room.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/chat/message.h"

static uint32_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

/* A room never looks into its clients. */
static struct client *client_number(uintptr_t number)
{
    return (struct client *)(number + 1);
}

static struct room *make_room(unsigned parts)
{
    struct room *room = room_try_create(slice_str("lobby"), parts);
    CU_ASSERT_PTR_NOT_NULL_FATAL(room);
    return room;
}

static void forget_batches(struct room_part *part)
{
    batch_release(part->plain);
    batch_release(part->deflated);
    part->plain = part->deflated = NULL;
}

/* --- names --- */

static void names_are_judged(void)
{
    static const struct {
        const char *name;
        bool is_good;
    } rows[] = {
        {"a", true},
        {"lobby", true},
        {"a b", true},
        {"stats", true},
        {"..", true},
        {"\\\"%", true},
        {"grüße", true},
        {"\xF0\x9F\x98\x80", true},
        {"\xC2\xA0", true}, /* the first behind the C1 controls */
        {"", false},
        {"a/b", false},
        {"/", false},
        {"a\nb", false},
        {"\x1F", false},
        {"\x7F", false},
        {"\xC2\x80", false},
        {"\xC2\x9F", false},
        {"\xC3", false},
        {"\xFF", false},
        {"\xED\xA0\x80", false}, /* half of a surrogate pair */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fault fault = room_check_name(slice_str(rows[i].name));
        CU_ASSERT_EQUAL(fault.code, rows[i].is_good ? FAULT_NONE : FAULT_CHANNEL_ERROR);
        if (!rows[i].is_good) {
            CU_ASSERT_STRING_EQUAL(fault.field, "room");
            CU_ASSERT_PTR_NOT_NULL(fault.message);
        }
    }
    CU_ASSERT_EQUAL(room_check_name(slice_of("a\0b", 3)).code, FAULT_CHANNEL_ERROR);
}

static void a_name_has_at_most_128_bytes(void)
{
    char name[ROOM_NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    CU_ASSERT_EQUAL(room_check_name(slice_of(name, ROOM_NAME_MAX - 1)).code, FAULT_NONE);
    CU_ASSERT_EQUAL(room_check_name(slice_of(name, ROOM_NAME_MAX)).code, FAULT_NONE);
    CU_ASSERT_EQUAL(room_check_name(slice_of(name, ROOM_NAME_MAX + 1)).code, FAULT_CHANNEL_ERROR);
}

/* --- life --- */

static void keeps_a_copy_of_its_name(void)
{
    char name[] = "lobby";
    struct room *room = room_try_create(slice_str(name), 3);
    CU_ASSERT_PTR_NOT_NULL_FATAL(room);
    name[0] = 'x';
    CU_ASSERT_TRUE(slice_equals_str(room->name, "lobby"));
    CU_ASSERT_EQUAL(room->parts_count, 3);
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_PTR_EQUAL(room->parts[i].room, room);
    CU_ASSERT_PTR_EQUAL(room_retain(room), room);
    room_release(room);
    CU_ASSERT_TRUE(slice_equals_str(room->name, "lobby"));
    room_release(room);
    room_release(NULL);
}

static void the_group_of_all_has_no_name(void)
{
    struct room *room = room_try_create(SLICE_NONE, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(room);
    CU_ASSERT_PTR_NULL(room->name.ptr);
    room_release(room);
}

static void without_memory_there_is_none(void)
{
    mem_fail_after(1);
    CU_ASSERT_PTR_NULL(room_try_create(slice_str("lobby"), 1));
    CU_ASSERT_EQUAL(mem_fail_after(0), 1);
}

/* --- members --- */

enum { CLIENTS = 500 };

struct model {
    struct membership memberships[CLIENTS];
    bool is_in[CLIENTS];
    uint32_t count;
};

static void agrees_with_the_model(const struct room_part *part, const struct model *model)
{
    CU_ASSERT_EQUAL(part->count, model->count);
    CU_ASSERT_TRUE(part->cap >= part->count);
    for (uintptr_t i = 0; i < CLIENTS; i++) {
        const struct membership *membership = &model->memberships[i];
        if (!model->is_in[i])
            continue;
        if (membership->index >= part->count ||
            part->members[membership->index].membership != membership ||
            part->members[membership->index].client != client_number(i))
            CU_FAIL("a member does not stand where its membership says");
    }
}

static void toggle(struct room_part *part, struct model *model, uint32_t i)
{
    if (model->is_in[i]) {
        room_part_remove(part, &model->memberships[i]);
        model->count--;
    } else {
        CU_ASSERT_EQUAL(room_part_add(part, client_number(i), &model->memberships[i]), ERR_OK);
        model->count++;
    }
    model->is_in[i] = !model->is_in[i];
}

static void remove_all(struct room_part *part, struct model *model)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (model->is_in[i])
            toggle(part, model, i);
}

static void members_stand_where_their_memberships_say(void)
{
    static struct model model;
    struct room *room = make_room(2);
    struct room_part *part = &room->parts[1];
    random_state = 99;
    for (int step = 0; step < 20000; step++) {
        /* Waves: few members, then many, then few again. */
        uint32_t among = (step / 2000) % 2 == 0 ? CLIENTS : 30;
        toggle(part, &model, draw(among));
        if (step % 100 == 0)
            agrees_with_the_model(part, &model);
    }
    agrees_with_the_model(part, &model);
    CU_ASSERT_EQUAL(room->parts[0].count, 0);
    remove_all(part, &model);
    agrees_with_the_model(part, &model);
    room_release(room);
}

static void memory_comes_back_when_a_large_room_empties(void)
{
    static struct model model;
    struct room *room = make_room(1);
    struct room_part *part = &room->parts[0];
    for (uint32_t i = 0; i < CLIENTS; i++)
        toggle(part, &model, i);
    CU_ASSERT_EQUAL(part->cap, 512);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        toggle(part, &model, i);
        agrees_with_the_model(part, &model);
    }
    CU_ASSERT_EQUAL(part->cap, 64);
    room_release(room);
}

static void without_memory_nobody_enters_and_all_may_leave(void)
{
    static struct model model;
    struct room *room = make_room(1);
    struct room_part *part = &room->parts[0];
    unsigned failures = 0;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        mem_fail_after(1);
        enum err err = room_part_add(part, client_number(i), &model.memberships[i]);
        mem_fail_after(0);
        if (err != ERR_OK) {
            failures++;
            CU_ASSERT_EQUAL(err, ERR_NOMEM);
            agrees_with_the_model(part, &model);
            CU_ASSERT_EQUAL(room_part_add(part, client_number(i), &model.memberships[i]), ERR_OK);
        }
        model.is_in[i] = true;
        model.count++;
    }
    CU_ASSERT_EQUAL(failures, 8); /* 4, 8, ... 512 places */
    for (uint32_t i = 0; i < CLIENTS; i++) {
        mem_fail_after(1);
        toggle(part, &model, i);
        mem_fail_after(0);
        agrees_with_the_model(part, &model);
    }
    room_release(room);
}

/* --- what a turn brings --- */

static struct message *make_message(size_t len, bool compressed)
{
    char *json = mem_zalloc(len);
    struct compressor compressor;
    memset(json, 'x', len);
    struct message *message = message_try_create(WS_TEXT, slice_of(json, len), 0);
    compressor_init(&compressor);
    if (compressed)
        message_compress(message, &compressor);
    compressor_fini(&compressor);
    mem_free(json);
    return message;
}

static void plain_alone_while_nobody_takes_compressed_frames(void)
{
    struct room *room = make_room(1);
    struct room_part *part = &room->parts[0];
    struct message *message = make_message(1000, true);
    CU_ASSERT_EQUAL(room_part_append(part, message), ERR_OK);
    CU_ASSERT_EQUAL(room_part_append(part, message), ERR_OK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(part->plain);
    CU_ASSERT_EQUAL(part->plain->count, 2);
    CU_ASSERT_PTR_NULL(part->deflated);
    forget_batches(part);
    message_release(message);
    room_release(room);
}

static void both_once_somebody_takes_compressed_frames(void)
{
    struct room *room = make_room(1);
    struct room_part *part = &room->parts[0];
    struct message *large = make_message(1000, true), *small = make_message(10, true);
    atomic_store(&part->deflaters, 1);
    CU_ASSERT_EQUAL(room_part_append(part, large), ERR_OK);
    CU_ASSERT_EQUAL(room_part_append(part, small), ERR_OK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(part->deflated);
    CU_ASSERT_EQUAL(part->plain->count, 2);
    CU_ASSERT_EQUAL(part->deflated->count, 2);
    CU_ASSERT_EQUAL(part->plain->len,
                    message_frame(large, false).len + message_frame(small, false).len);
    CU_ASSERT_EQUAL(part->deflated->len,
                    message_frame(large, true).len + message_frame(small, true).len);
    /* The last who takes them leaves in the middle of the batch: it goes on as it began. */
    atomic_store(&part->deflaters, 0);
    CU_ASSERT_EQUAL(room_part_append(part, small), ERR_OK);
    CU_ASSERT_EQUAL(part->deflated->count, 3);
    forget_batches(part);
    message_release(large);
    message_release(small);
    room_release(room);
}

static void a_batch_begun_plain_is_sent_before_compressed_frames(void)
{
    struct room *room = make_room(1);
    struct room_part *part = &room->parts[0];
    struct message *message = make_message(1000, true);
    CU_ASSERT_EQUAL(room_part_append(part, message), ERR_OK);
    atomic_store(&part->deflaters, 1);
    CU_ASSERT_EQUAL(room_part_append(part, message), ERR_FULL);
    CU_ASSERT_EQUAL(part->plain->count, 1);
    CU_ASSERT_PTR_NULL(part->deflated);
    forget_batches(part);
    CU_ASSERT_EQUAL(room_part_append(part, message), ERR_OK);
    CU_ASSERT_EQUAL(part->deflated->count, 1);
    forget_batches(part);
    message_release(message);
    room_release(room);
}

/* One byte below, at and above what a batch takes; with and without a compressed one beside it. */
static void is_full_at_the_limit_of_a_batch(void)
{
    for (unsigned deflaters = 0; deflaters <= 1; deflaters++) {
        for (int past = -1; past <= 1; past++) {
            struct room *room = make_room(1);
            struct room_part *part = &room->parts[0];
            struct message *first = make_message(1000, true);
            size_t rest = BATCH_BYTES_MAX - message_frame(first, false).len - 4;
            struct message *second = make_message((size_t)((long)rest + past), true);
            atomic_store(&part->deflaters, deflaters);
            CU_ASSERT_EQUAL(room_part_append(part, first), ERR_OK);
            CU_ASSERT_EQUAL(room_part_append(part, second), past <= 0 ? ERR_OK : ERR_FULL);
            CU_ASSERT_EQUAL(part->plain->count, past <= 0 ? 2 : 1);
            if (deflaters != 0)
                CU_ASSERT_EQUAL(part->deflated->count, part->plain->count);
            forget_batches(part);
            message_release(first);
            message_release(second);
            room_release(room);
        }
    }
}

/* Nothing may stay behind: an empty batch would wait in a queue for ever, and one that only those
 * with compression have would be kept until the next message. */
static void without_memory_a_message_is_in_no_batch(void)
{
    for (uint32_t before = 0; before <= 4; before++) {
        bool failed = true;
        for (unsigned nth = 1; failed && nth < 20; nth++) {
            struct room *room = make_room(1);
            struct room_part *part = &room->parts[0];
            struct message *message = make_message(1000, true);
            atomic_store(&part->deflaters, before % 2);
            for (uint32_t i = 0; i < before; i++)
                CU_ASSERT_EQUAL(room_part_append(part, message), ERR_OK);
            mem_fail_after(nth);
            enum err err = room_part_append(part, message);
            mem_fail_after(0);
            failed = err != ERR_OK;
            CU_ASSERT_EQUAL(err, failed ? ERR_NOMEM : ERR_OK);
            uint32_t count = before + !failed;
            CU_ASSERT_EQUAL(part->plain != NULL ? part->plain->count : 0, count);
            CU_ASSERT_EQUAL(part->plain == NULL, count == 0);
            if (before % 2 != 0)
                CU_ASSERT_EQUAL(part->deflated->count, count);
            forget_batches(part);
            message_release(message);
            room_release(room);
        }
        CU_ASSERT_FALSE(failed);
    }
}

static void without_memory_no_compressed_batch_stays_alone(void)
{
    bool failed = true;
    unsigned nth = 0;
    while (failed && nth < 20) {
        struct room *room = make_room(1);
        struct room_part *part = &room->parts[0];
        struct message *message = make_message(1000, true);
        atomic_store(&part->deflaters, 1);
        mem_fail_after(++nth);
        failed = room_part_append(part, message) != ERR_OK;
        mem_fail_after(0);
        CU_ASSERT_EQUAL(part->plain == NULL, failed);
        CU_ASSERT_EQUAL(part->deflated == NULL, failed);
        forget_batches(part);
        message_release(message);
        room_release(room);
    }
    CU_ASSERT_EQUAL(nth, 3 + 1); /* two batches, and bytes that the plain one has no room for */
}

static void a_users_room_is_named_after_it(void)
{
    char name[ROOM_NAME_MAX], longest[ROOM_NAME_MAX];
    memset(longest, 'a', sizeof longest);
    size_t most = ROOM_NAME_MAX - strlen(ROOM_USER_PREFIX);
    CU_ASSERT_TRUE(slice_equals_str(room_users_name(slice_str("ada"), name), "user:ada"));
    CU_ASSERT_TRUE(room_is_users(room_users_name(slice_of(longest, most), name)));
    CU_ASSERT_EQUAL(room_users_name(slice_of(longest, most), name).len, ROOM_NAME_MAX);
    CU_ASSERT_PTR_NULL(room_users_name(slice_of(longest, most + 1), name).ptr);
}

CU_TestInfo room_tests[] = {
    {"a_users_room_is_named_after_it", a_users_room_is_named_after_it},
    {"names_are_judged", names_are_judged},
    {"a_name_has_at_most_128_bytes", a_name_has_at_most_128_bytes},
    {"keeps_a_copy_of_its_name", keeps_a_copy_of_its_name},
    {"the_group_of_all_has_no_name", the_group_of_all_has_no_name},
    {"without_memory_there_is_none", without_memory_there_is_none},
    {"members_stand_where_their_memberships_say", members_stand_where_their_memberships_say},
    {"memory_comes_back_when_a_large_room_empties", memory_comes_back_when_a_large_room_empties},
    {"without_memory_nobody_enters_and_all_may_leave",
     without_memory_nobody_enters_and_all_may_leave},
    {"plain_alone_while_nobody_takes_compressed_frames",
     plain_alone_while_nobody_takes_compressed_frames},
    {"both_once_somebody_takes_compressed_frames", both_once_somebody_takes_compressed_frames},
    {"a_batch_begun_plain_is_sent_before_compressed_frames",
     a_batch_begun_plain_is_sent_before_compressed_frames},
    {"is_full_at_the_limit_of_a_batch", is_full_at_the_limit_of_a_batch},
    {"without_memory_a_message_is_in_no_batch", without_memory_a_message_is_in_no_batch},
    {"without_memory_no_compressed_batch_stays_alone",
     without_memory_no_compressed_batch_stays_alone},
    CU_TEST_INFO_NULL,
};
