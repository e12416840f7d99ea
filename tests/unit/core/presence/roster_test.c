/* Users of this pod: what must be said about them, with a clock of the test's own. */
#include "core/presence/roster.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"

extern CU_TestInfo roster_tests[];

enum { AWAY_MS = 320, GRACE_MS = 5000 };

#define ANY_ID "0190a000-1234-7abc-8def-0123456789ab"

/*
 * What was said: "ann@lobby:2" (clients in a room), "ann*1" (clients at all), with "!away" where
 * the status is not online; "ann?" and "ann." are notes to other pods, with and without a question;
 * "<ann" and ">ann" begin and end watching.
 */
struct scene {
    struct roster roster;
    struct leases leases;
    struct lease *other;
    struct buf said;
    struct roster_time time;
};

static void append_user(struct scene *scene, const struct roster_user *user)
{
    char scratch[UUID_TEXT_LEN];
    struct slice id = roster_user_id(user, scratch);
    buf_append_char(&scene->said, ' ');
    if (slice_equals_str(id, ANY_ID))
        buf_append_str(&scene->said, "loner");
    else
        buf_append_slice(&scene->said, id);
}

static void on_changed(void *arg, const struct roster_user *user, const struct roster_seat *seat)
{
    struct scene *scene = arg;
    struct record record = roster_record(user, seat);
    append_user(scene, user);
    if (seat != NULL) {
        struct slice room = roster_room_name(seat->room);
        buf_printf(&scene->said, "@%.*s:%u", (int)room.len, room.ptr, record.clients);
    } else {
        buf_printf(&scene->said, "*%u", record.clients);
    }
    if (record.status != PRESENCE_ONLINE)
        buf_printf(&scene->said, "!%s", presence_status_name(record.status));
}

static void on_note(void *arg, const struct roster_user *user, bool ask)
{
    struct scene *scene = arg;
    append_user(scene, user);
    buf_append_char(&scene->said, ask ? '?' : '.');
}

static void on_watch(void *arg, struct slice user, bool wanted)
{
    struct scene *scene = arg;
    buf_printf(&scene->said, " %c%.*s", wanted ? '<' : '>', (int)user.len, user.ptr);
}

static void begin(struct scene *scene)
{
    *scene = (struct scene){.time = {.now_ms = 3200, .wall_ms = 1000000}};
    const struct roster_opts opts = {.away_ms = AWAY_MS,
                                     .grace_ms = GRACE_MS,
                                     .leases = &scene->leases,
                                     .arg = scene,
                                     .changed = on_changed,
                                     .note = on_note,
                                     .watch = on_watch};
    buf_init(&scene->said, 65536);
    leases_init(&scene->leases);
    scene->other = leases_get(&scene->leases, slice_str("other-other-othe"));
    roster_init(&scene->roster, &opts);
}

static void end(struct scene *scene)
{
    roster_fini(&scene->roster);
    leases_put(&scene->leases, scene->other);
    leases_fini(&scene->leases);
    buf_fini(&scene->said);
}

static void expect(struct scene *scene, const char *said)
{
    struct slice got = slice_of(scene->said.len != 0 ? scene->said.ptr : "", scene->said.len);
    if (!slice_equals_str(got, said))
        fprintf(stderr, "expected \"%s\", said \"%.*s\"\n", said, (int)got.len, got.ptr);
    CU_ASSERT_TRUE(slice_equals_str(got, said));
    buf_clear(&scene->said);
}

static struct presence_client *add(struct scene *scene, const char *user)
{
    const struct roster_newcomer newcomer = {
        .id = slice_str(ANY_ID), .user = slice_str(user), .name = SLICE_NONE, .events = true};
    struct presence_client *client =
        roster_make_client(&scene->roster, &newcomer, scene->time.now_ms);
    roster_add(&scene->roster, client, scene->time);
    return client;
}

static struct roster_room *enter(struct scene *scene, struct presence_client *client,
                                 const char *name)
{
    struct roster_room *room = roster_need_room(&scene->roster, slice_str(name));
    CU_ASSERT_PTR_NOT_NULL_FATAL(room);
    CU_ASSERT_EQUAL(roster_enter(&scene->roster, client, room, scene->time), ERR_OK);
    return room;
}

static void choose(struct scene *scene, struct presence_client *client, enum presence_status status,
                   const char *text)
{
    roster_choose(&scene->roster, client, status, slice_str(text), scene->time);
}

static void pass(struct scene *scene, uint64_t ms)
{
    scene->time.now_ms += ms;
    scene->time.wall_ms += ms;
    roster_scan(&scene->roster, scene->time);
    roster_expire(&scene->roster, scene->time);
}

static void speak(struct scene *scene, struct presence_client *client)
{
    atomic_store(&client->active, (unsigned)(scene->time.now_ms / ROSTER_TICK_MS));
    if (atomic_exchange(&client->away, false))
        roster_wake(&scene->roster, client, scene->time);
}

static void take_note(struct scene *scene, const struct note *note)
{
    roster_take_note(&scene->roster, slice_str("ann"), scene->other, note, scene->time);
}

static const struct note here = {.text = {"", 0}};
static const struct note silent = {.idle = true, .text = {"", 0}};
static const struct note gone = {.gone = true, .text = {"", 0}};

/* --- rooms --- */

static void a_loner_is_said_by_its_clients_id(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *client = add(&scene, NULL);
    struct roster_room *room = enter(&scene, client, "lobby");
    expect(&scene, " loner*1 loner@lobby:1");
    CU_ASSERT_EQUAL(room->count, 1);
    CU_ASSERT_EQUAL(room->events, 1);
    roster_leave(&scene.roster, client, room);
    roster_forget_room(&scene.roster, room);
    CU_ASSERT_PTR_NULL(roster_find_room(&scene.roster, slice_str("lobby")));
    roster_remove(&scene.roster, client, scene.time);
    expect(&scene, " loner@lobby:0 loner*0");
    end(&scene);
}

static void a_loners_time_is_its_ids(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *client = add(&scene, NULL);
    CU_ASSERT_EQUAL(roster_record(roster_user_of(client), NULL).since_ms, 0x0190a0001234);
    end(&scene);
}

static void clients_of_a_user_are_counted(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *one = add(&scene, "ann"), *two = add(&scene, "ann");
    struct roster_room *room = enter(&scene, one, "lobby");
    enter(&scene, two, "lobby");
    expect(&scene, " <ann ann? ann*1 ann*2 ann@lobby:1 ann@lobby:2");
    CU_ASSERT_EQUAL(room->count, 1);
    CU_ASSERT_EQUAL(room->events, 2);
    roster_leave(&scene.roster, one, room);
    roster_remove(&scene.roster, one, scene.time);
    roster_leave(&scene.roster, two, room);
    roster_remove(&scene.roster, two, scene.time);
    expect(&scene, " ann@lobby:1 ann*1 ann@lobby:0 ann*0 ann. >ann");
    end(&scene);
}

static void many_users_leave_a_room_in_any_order(void)
{
    enum { MANY = 100 };
    struct scene scene;
    struct presence_client *clients[MANY];
    struct roster_room *room = NULL;
    char name[32];
    begin(&scene);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "user-%d", i);
        clients[i] = add(&scene, name);
        room = enter(&scene, clients[i], "lobby");
    }
    CU_ASSERT_EQUAL(room->count, MANY);
    for (int i = 0; i < MANY; i++)
        roster_leave(&scene.roster, clients[i * 37 % MANY], room);
    CU_ASSERT_EQUAL(room->count, 0);
    end(&scene);
}

static void everybody_is_in_the_room_of_all_without_a_seat(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *client = add(&scene, "ann");
    buf_clear(&scene.said);
    struct roster_room *room = enter(&scene, client, PRESENCE_GLOBAL);
    expect(&scene, "");
    CU_ASSERT_EQUAL(room->events, 1);
    roster_leave(&scene.roster, client, room);
    CU_ASSERT_EQUAL(room->events, 0);
    end(&scene);
}

/* --- status --- */

static void a_status_is_said_everywhere_and_once(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *client = add(&scene, "ann");
    enter(&scene, client, "a");
    enter(&scene, client, "b");
    buf_clear(&scene.said);
    choose(&scene, client, PRESENCE_BUSY, "x");
    expect(&scene, " ann*1!busy ann@b:1!busy ann@a:1!busy ann.");
    choose(&scene, client, PRESENCE_BUSY, "x");
    expect(&scene, " ann."); /* no room hears of it, the user's pods do */
    choose(&scene, client, PRESENCE_BUSY, "y");
    expect(&scene, " ann*1!busy ann@b:1!busy ann@a:1!busy ann.");
    end(&scene);
}

static void a_loner_may_choose_a_status(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *client = add(&scene, NULL);
    buf_clear(&scene.said);
    choose(&scene, client, PRESENCE_ONLINE, "");
    expect(&scene, "");
    choose(&scene, client, PRESENCE_OFFLINE, "");
    expect(&scene, " loner*1!offline");
    CU_ASSERT_FALSE(roster_is_visible(roster_user_of(client)));
    choose(&scene, client, PRESENCE_ONLINE, "");
    expect(&scene, " loner*1");
    end(&scene);
}

static void stamps_grow_even_when_the_clock_does_not(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *client = add(&scene, "ann");
    choose(&scene, client, PRESENCE_BUSY, "");
    uint64_t first = roster_record(roster_user_of(client), NULL).stamp_ms;
    choose(&scene, client, PRESENCE_ONLINE, "");
    CU_ASSERT_TRUE(roster_record(roster_user_of(client), NULL).stamp_ms > first);
    end(&scene);
}

static void a_chosen_status_lingers_for_who_comes_back(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *client = add(&scene, "ann");
    choose(&scene, client, PRESENCE_BUSY, "");
    buf_clear(&scene.said);
    roster_remove(&scene.roster, client, scene.time);
    expect(&scene, " ann*0!busy ann.");
    pass(&scene, GRACE_MS - 1);
    client = add(&scene, "ann");
    expect(&scene, " ann? ann*1!busy");
    roster_remove(&scene.roster, client, scene.time);
    CU_ASSERT_EQUAL(roster_next_ms(&scene.roster), scene.time.now_ms + GRACE_MS);
    pass(&scene, GRACE_MS);
    expect(&scene, " ann*0!busy ann. >ann");
    add(&scene, "ann");
    expect(&scene, " <ann ann? ann*1");
    end(&scene);
}

/* --- silence --- */

static void who_is_silent_is_away_until_the_next_message(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *client = add(&scene, NULL);
    enter(&scene, client, "a");
    buf_clear(&scene.said);
    pass(&scene, AWAY_MS - ROSTER_TICK_MS);
    expect(&scene, "");
    pass(&scene, ROSTER_TICK_MS);
    expect(&scene, " loner*1!away loner@a:1!away");
    pass(&scene, AWAY_MS);
    expect(&scene, "");
    speak(&scene, client);
    expect(&scene, " loner*1 loner@a:1");
    pass(&scene, AWAY_MS);
    expect(&scene, " loner*1!away loner@a:1!away");
    end(&scene);
}

static void one_active_client_keeps_its_user_online(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *one = add(&scene, "ann"), *two = add(&scene, "ann");
    buf_clear(&scene.said);
    for (int i = 0; i < 4; i++) {
        pass(&scene, AWAY_MS / 2);
        speak(&scene, two);
    }
    expect(&scene, "");
    roster_remove(&scene.roster, two, scene.time);
    expect(&scene, " ann*1 ann. ann*1!away");
    speak(&scene, one);
    expect(&scene, " ann. ann*1");
    end(&scene);
}

static void a_chosen_status_is_not_changed_by_silence(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *client = add(&scene, NULL);
    choose(&scene, client, PRESENCE_BUSY, "");
    buf_clear(&scene.said);
    pass(&scene, 2 * AWAY_MS);
    expect(&scene, "");
    choose(&scene, client, PRESENCE_ONLINE, "");
    expect(&scene, " loner*1!away");
    speak(&scene, client);
    expect(&scene, " loner*1");
    end(&scene);
}

static void who_goes_takes_leave_with_what_it_chose(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *client = add(&scene, "ann");
    const struct roster_user *user = roster_user_of(client);
    pass(&scene, AWAY_MS);
    CU_ASSERT_EQUAL(roster_record(user, NULL).status, PRESENCE_AWAY);
    CU_ASSERT_EQUAL(roster_farewell(user, NULL).status, PRESENCE_ONLINE);
    CU_ASSERT_EQUAL(roster_farewell(user, NULL).clients, 0);
    CU_ASSERT_EQUAL(roster_farewell(user, NULL).stamp_ms, roster_record(user, NULL).stamp_ms);
    choose(&scene, client, PRESENCE_AWAY, "");
    CU_ASSERT_EQUAL(roster_farewell(user, NULL).status, PRESENCE_AWAY);
    end(&scene);
}

/* --- other pods --- */

static void who_is_active_on_another_pod_is_not_away(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *client = add(&scene, "ann");
    take_note(&scene, &here);
    buf_clear(&scene.said);
    pass(&scene, AWAY_MS);
    expect(&scene, " ann.");
    take_note(&scene, &silent);
    expect(&scene, " ann*1!away");
    take_note(&scene, &here);
    expect(&scene, " ann*1");
    take_note(&scene, &gone);
    expect(&scene, " ann*1!away");
    take_note(&scene, &here);
    expect(&scene, " ann*1");
    roster_drop_lease(&scene.roster, scene.other, scene.time);
    expect(&scene, " ann*1!away");
    CU_ASSERT_EQUAL(scene.other->refs, 1);
    (void)client;
    end(&scene);
}

static void a_pods_next_lease_speaks_for_the_one_before(void)
{
    struct scene scene;
    begin(&scene);
    struct lease *first = leases_get(&scene.leases, slice_str("4f0c2a91d7000000"));
    struct lease *next = leases_get(&scene.leases, slice_str("4f0c2a91d7000001"));
    (void)add(&scene, "ann");
    roster_take_note(&scene.roster, slice_str("ann"), first, &here, scene.time);
    pass(&scene, AWAY_MS);
    buf_clear(&scene.said);
    roster_take_note(&scene.roster, slice_str("ann"), next, &silent, scene.time);
    expect(&scene, " ann*1!away");
    CU_ASSERT_EQUAL(first->refs, 1);
    leases_put(&scene.leases, first);
    leases_put(&scene.leases, next);
    end(&scene);
}

static void a_status_chosen_elsewhere_is_taken_when_it_is_later(void)
{
    struct scene scene;
    struct note note = {.status = PRESENCE_BUSY, .stamp_ms = 5, .text = slice_str("z")};
    begin(&scene);
    struct presence_client *client = add(&scene, "ann");
    buf_clear(&scene.said);
    take_note(&scene, &note);
    expect(&scene, " ann*1!busy");
    CU_ASSERT_TRUE(slice_equals_str(roster_record(roster_user_of(client), NULL).text, "z"));
    take_note(&scene, &note);
    note.stamp_ms = 4;
    note.status = PRESENCE_AWAY;
    take_note(&scene, &note);
    expect(&scene, "");
    choose(&scene, client, PRESENCE_ONLINE, "");
    expect(&scene, " ann*1 ann.");
    end(&scene);
}

static void what_is_shown_already_may_be_chosen(void)
{
    struct scene scene;
    struct note note = {.status = PRESENCE_BUSY, .stamp_ms = 5, .text = slice_str("")};
    begin(&scene);
    struct presence_client *client = add(&scene, "ann");
    buf_clear(&scene.said);
    choose(&scene, client, PRESENCE_ONLINE, "");
    expect(&scene, " ann.");
    /* Chosen before that, on a pod that was not heard until now. */
    take_note(&scene, &note);
    expect(&scene, "");
    CU_ASSERT_EQUAL(roster_note(roster_user_of(client), false).stamp_ms, scene.time.wall_ms);
    end(&scene);
}

static void a_question_is_answered(void)
{
    struct scene scene;
    const struct note ask = {.ask = true, .text = slice_str("")};
    begin(&scene);
    add(&scene, "ann");
    buf_clear(&scene.said);
    take_note(&scene, &ask);
    expect(&scene, " ann.");
    roster_take_note(&scene.roster, slice_str("bob"), scene.other, &ask, scene.time);
    expect(&scene, "");
    roster_ask(&scene.roster, slice_str("user:ann"));
    roster_ask(&scene.roster, slice_str("user:bob"));
    roster_ask(&scene.roster, slice_str("lobby"));
    expect(&scene, " ann?");
    end(&scene);
}

static void count_user(void *arg, const struct roster_user *user)
{
    (void)user;
    ++*(unsigned *)arg;
}

static void all_users_are_found(void)
{
    struct scene scene;
    unsigned count = 0;
    begin(&scene);
    add(&scene, "ann");
    add(&scene, "ann");
    add(&scene, "bob");
    add(&scene, NULL);
    roster_each(&scene.roster, count_user, &count);
    CU_ASSERT_EQUAL(count, 3);
    end(&scene);
}

static void a_new_name_is_said_everywhere_and_once(void)
{
    struct scene scene;
    begin(&scene);
    struct presence_client *ann = add(&scene, "ann"), *loner = add(&scene, NULL);
    struct roster_room *lobby = enter(&scene, ann, "lobby");
    const struct roster_user *user = roster_user_of(ann);
    buf_clear(&scene.said);
    uint64_t stamp_ms = roster_record(user, NULL).stamp_ms;
    roster_rename(&scene.roster, ann, slice_str("Ann"), scene.time);
    expect(&scene, " ann*1 ann@lobby:1");
    CU_ASSERT_TRUE(slice_equals_str(roster_record(user, NULL).name, "Ann"));
    CU_ASSERT_TRUE(roster_record(user, NULL).stamp_ms > stamp_ms);
    roster_rename(&scene.roster, ann, slice_str("Ann"), scene.time);
    roster_rename(&scene.roster, loner, slice_str("somebody"), scene.time);
    expect(&scene, "");
    roster_rename(&scene.roster, ann, SLICE_NONE, scene.time);
    expect(&scene, " ann*1 ann@lobby:1");
    CU_ASSERT_PTR_NULL(roster_record(user, NULL).name.ptr);
    roster_leave(&scene.roster, ann, lobby);
    roster_forget_room(&scene.roster, lobby);
    roster_remove(&scene.roster, ann, scene.time);
    roster_remove(&scene.roster, loner, scene.time);
    end(&scene);
}

static void an_idle_loner_is_small(void)
{
    CU_ASSERT_TRUE(sizeof(struct presence_client) + sizeof(struct roster_user) <= 56);
    CU_ASSERT_TRUE(sizeof(struct roster_seat) <= 40);
}

CU_TestInfo roster_tests[] = {
    {"a_loner_is_said_by_its_clients_id", a_loner_is_said_by_its_clients_id},
    {"a_loners_time_is_its_ids", a_loners_time_is_its_ids},
    {"clients_of_a_user_are_counted", clients_of_a_user_are_counted},
    {"many_users_leave_a_room_in_any_order", many_users_leave_a_room_in_any_order},
    {"everybody_is_in_the_room_of_all_without_a_seat",
     everybody_is_in_the_room_of_all_without_a_seat},
    {"a_status_is_said_everywhere_and_once", a_status_is_said_everywhere_and_once},
    {"a_loner_may_choose_a_status", a_loner_may_choose_a_status},
    {"stamps_grow_even_when_the_clock_does_not", stamps_grow_even_when_the_clock_does_not},
    {"a_chosen_status_lingers_for_who_comes_back", a_chosen_status_lingers_for_who_comes_back},
    {"who_is_silent_is_away_until_the_next_message", who_is_silent_is_away_until_the_next_message},
    {"one_active_client_keeps_its_user_online", one_active_client_keeps_its_user_online},
    {"a_chosen_status_is_not_changed_by_silence", a_chosen_status_is_not_changed_by_silence},
    {"who_goes_takes_leave_with_what_it_chose", who_goes_takes_leave_with_what_it_chose},
    {"who_is_active_on_another_pod_is_not_away", who_is_active_on_another_pod_is_not_away},
    {"a_pods_next_lease_speaks_for_the_one_before", a_pods_next_lease_speaks_for_the_one_before},
    {"a_status_chosen_elsewhere_is_taken_when_it_is_later",
     a_status_chosen_elsewhere_is_taken_when_it_is_later},
    {"what_is_shown_already_may_be_chosen", what_is_shown_already_may_be_chosen},
    {"a_question_is_answered", a_question_is_answered},
    {"all_users_are_found", all_users_are_found},
    {"a_new_name_is_said_everywhere_and_once", a_new_name_is_said_everywhere_and_once},
    {"an_idle_loner_is_small", an_idle_loner_is_small},
    CU_TEST_INFO_NULL,
};
