#include "core/chat/client.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/chat/hub.h"
#include "core/net/loop.h"
#include "tests/support/chat_peer.h"

/* A client enters a room, or leaves it, on its loop, both steps at once. */
struct step {
    struct client *client;
    const char *room;
    bool joins;
    unsigned fail_at; /* the n-th allocation fails; 0: none */
    enum err err;
    unsigned rooms; /* that the client is in afterwards */
    bool is_member; /* of this one */
};

static void enter(struct step *step)
{
    struct seat *seat = client_reserve_room(step->client, slice_str(step->room));
    step->err = seat != NULL ? client_take_seat(step->client, seat) : ERR_NOMEM;
}

static void leave(struct step *step)
{
    struct seat *seat;
    step->err = client_begin_leaving(step->client, slice_str(step->room), &seat);
    if (seat != NULL)
        client_vacate(step->client, seat);
}

static void run_step(void *arg)
{
    struct step *step = arg;
    mem_fail_after(step->fail_at);
    step->joins ? enter(step) : leave(step);
    mem_fail_after(0);
    step->rooms = client_room_count(step->client);
    step->is_member = client_find_room(step->client, slice_str(step->room)) != NULL;
}

static struct step run(struct chat *chat, const struct peer *peer, const char *room, bool joins,
                       unsigned fail_at)
{
    struct step step = {.client = peer->client, .room = room, .joins = joins, .fail_at = fail_at};
    chat_run_on(chat, 0, run_step, &step);
    return step;
}

static void join(struct chat *chat, const struct peer *peer, const char *room)
{
    CU_ASSERT_EQUAL(run(chat, peer, room, true, 0).err, ERR_OK);
}

static void begin(struct chat *chat, struct peer *peer, const char *room, bool events)
{
    enum err err = events ? peer_admit_events(chat, peer, room) : peer_admit(chat, peer, room);
    CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
    peer_attach(peer, SLICE_NONE);
    chat_settle(chat);
}

static void end(struct chat *chat, struct peer *peer)
{
    peer_leave(peer);
    CU_ASSERT_TRUE(chat_await_empty(chat));
    CU_ASSERT_EQUAL(chat_stats(chat).rooms, 0);
    CU_ASSERT_EQUAL(chat_stats(chat).members, 0);
    chat_stop(chat);
}

static void hears_what_its_rooms_get(void)
{
    for (int events = 0; events <= 1; events++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        chat_start(&chat, &opts);
        begin(&chat, &peer, "first", events != 0);
        join(&chat, &peer, "second");
        join(&chat, &peer, "third");
        CU_ASSERT_EQUAL(chat_stats(&chat).rooms, 3);
        CU_ASSERT_EQUAL(chat_stats(&chat).members, 3);
        CU_ASSERT_TRUE(chat_publish(&chat, "third", "3"));
        CU_ASSERT_TRUE(peer_hears(&peer, "3"));
        struct step step = run(&chat, &peer, "second", false, 0);
        CU_ASSERT_EQUAL(step.rooms, 2);
        CU_ASSERT_FALSE(step.is_member);
        CU_ASSERT_FALSE(chat_publish(&chat, "second", "2"));
        CU_ASSERT_TRUE(chat_publish(&chat, "first", "1"));
        CU_ASSERT_TRUE(peer_hears(&peer, "1"));
        step = run(&chat, &peer, "first", false, 0);
        CU_ASSERT_EQUAL(step.rooms, 1);
        CU_ASSERT_FALSE(chat_publish(&chat, "first", "gone"));
        join(&chat, &peer, "first");
        CU_ASSERT_TRUE(chat_publish(&chat, "first", "again"));
        CU_ASSERT_TRUE(peer_hears(&peer, "again"));
        CU_ASSERT_TRUE(chat_publish(&chat, NULL, "all"));
        CU_ASSERT_TRUE(peer_hears(&peer, "all"));
        chat_settle(&chat);
        CU_ASSERT_TRUE(peer_hears_nothing(&peer));
        end(&chat, &peer);
    }
}

/* What is told to events clients reaches no plain one, and neither group is shown. */
static void events_clients_have_groups_of_their_own(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer plain, events;
    char user[64];
    chat_start(&chat, &opts);
    begin(&chat, &events, "lobby", true);
    begin(&chat, &plain, "lobby", false);
    CU_ASSERT_EQUAL(chat_stats(&chat).rooms, 1);
    CU_ASSERT_EQUAL(chat_stats(&chat).members, 2);
    CU_ASSERT_TRUE(chat_publish(&chat, "/lobby", "for events clients"));
    CU_ASSERT_TRUE(peer_hears(&events, "for events clients"));
    struct slice id = client_id(events.client);
    (void)snprintf(user, sizeof user, "/user:%.*s", (int)id.len, id.ptr);
    CU_ASSERT_TRUE(chat_publish(&chat, user, "for its user"));
    CU_ASSERT_TRUE(chat_publish(&chat, user + 1, "for the user's clients"));
    CU_ASSERT_TRUE(peer_hears(&events, "for its user"));
    CU_ASSERT_TRUE(peer_hears(&events, "for the user's clients"));
    chat_settle(&chat);
    CU_ASSERT_TRUE(peer_hears_nothing(&plain));
    (void)run(&chat, &events, "lobby", false, 0);
    CU_ASSERT_FALSE(chat_publish(&chat, "/lobby", "nobody is left"));
    CU_ASSERT_TRUE(chat_publish(&chat, user, "that one stays"));
    CU_ASSERT_TRUE(peer_hears(&events, "that one stays"));
    struct hub_room_count counts[4];
    size_t total;
    CU_ASSERT_EQUAL(hub_list_rooms(chat.hub, counts, 4, &total), 1);
    CU_ASSERT_EQUAL(total, 1);
    peer_leave(&events);
    end(&chat, &plain);
}

struct posted_step {
    struct loop_task task;
    struct step step;
};

static void run_posted(struct loop_task *task, struct loop *loop)
{
    (void)loop;
    run_step(&((struct posted_step *)task)->step);
}

static void post(struct chat *chat, struct posted_step *posted, const struct peer *peer, bool joins)
{
    *posted = (struct posted_step){
        .task.run = run_posted, .step = {.client = peer->client, .room = "lobby", .joins = joins}};
    loop_post(chat->loops[0], &posted->task);
}

/* Changes and messages of one turn: each message is judged by where it stands. */
static void a_change_takes_its_place_among_the_turns_messages(void)
{
    static const char *const texts[] = {"before", "mine", "behind", "mine again", "the last"};
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer keeper, peer;
    struct posted_step steps[4];
    chat_start(&chat, &opts);
    begin(&chat, &keeper, "lobby", false);
    begin(&chat, &peer, NULL, false);
    for (int round = 0; round < 10; round++) {
        struct chat_gate *gate = chat_hold(&chat, 0);
        for (int i = 0; i < 5; i++) {
            CU_ASSERT_TRUE(chat_publish(&chat, "lobby", texts[i]));
            if (i < 4)
                post(&chat, &steps[i], &peer, i % 2 == 0);
        }
        chat_release(gate);
        CU_ASSERT_TRUE(peer_hears(&peer, "mine"));
        CU_ASSERT_TRUE(peer_hears(&peer, "mine again"));
        for (int i = 0; i < 5; i++)
            CU_ASSERT_TRUE(peer_hears(&keeper, texts[i]));
        chat_settle(&chat);
    }
    CU_ASSERT_TRUE(peer_hears_nothing(&peer));
    peer_leave(&keeper);
    end(&chat, &peer);
}

/* Whichever allocation fails, the client is in a room or it is not, and nothing is left behind. */
static void without_memory_nothing_is_half_done(void)
{
    for (int events = 0; events <= 1; events++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        chat_start(&chat, &opts);
        begin(&chat, &peer, "first", events != 0);
        enum err err = ERR_NOMEM;
        unsigned fail_at = 0;
        while (err != ERR_OK && ++fail_at < 50) {
            struct step step = run(&chat, &peer, "second", true, fail_at);
            err = step.err;
            CU_ASSERT_EQUAL(step.is_member, err == ERR_OK);
            CU_ASSERT_EQUAL(step.rooms, err == ERR_OK ? 2 : 1);
            CU_ASSERT_EQUAL(chat_stats(&chat).rooms, err == ERR_OK ? 2 : 1);
        }
        CU_ASSERT_TRUE(fail_at > 3);
        struct step step = run(&chat, &peer, "first", false, 1);
        /* A plain client's first room needs a seat before it is left. */
        CU_ASSERT_EQUAL(step.err, events ? ERR_OK : ERR_NOMEM);
        CU_ASSERT_EQUAL(step.is_member, !events);
        end(&chat, &peer);
    }
}

/* The way out begins while the way in has its second step before it, which then fails. */
static void fail_to_enter_while_leaving(void *arg)
{
    struct step *step = arg;
    struct slice name = slice_str(step->room);
    struct seat *seat = client_reserve_room(step->client, name), *leaving = NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(seat);
    CU_ASSERT_EQUAL(client_begin_leaving(step->client, name, &leaving), ERR_OK);
    CU_ASSERT_PTR_EQUAL(leaving, seat);
    mem_fail_after(step->fail_at);
    step->err = client_take_seat(step->client, seat);
    mem_fail_after(0);
    client_vacate(step->client, leaving);
    step->rooms = client_room_count(step->client);
}

static void a_seat_that_is_left_before_it_could_be_taken_goes_once(void)
{
    for (int events = 0; events <= 1; events++) {
        struct chat chat;
        struct hub_opts opts = chat_opts(1);
        struct peer peer;
        chat_start(&chat, &opts);
        begin(&chat, &peer, "first", events != 0);
        struct step step = {.client = peer.client, .room = "second", .err = ERR_NOMEM};
        while (step.err != ERR_OK && ++step.fail_at < 10) {
            chat_run_on(&chat, 0, fail_to_enter_while_leaving, &step);
            CU_ASSERT_EQUAL(step.rooms, 1);
            CU_ASSERT_EQUAL(chat_stats(&chat).rooms, 1);
        }
        CU_ASSERT_TRUE(step.fail_at > 1);
        end(&chat, &peer);
    }
}

static void without_memory_nobody_is_admitted(void)
{
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peer;
    chat_start(&chat, &opts);
    enum err err = ERR_NOMEM;
    unsigned fail_at = 0;
    while (err != ERR_OK && ++fail_at < 50) {
        mem_fail_after(fail_at);
        err = peer_admit_events(&chat, &peer, "lobby");
        mem_fail_after(0);
        CU_ASSERT_EQUAL(chat_stats(&chat).slots, err == ERR_OK);
        CU_ASSERT_EQUAL(chat_stats(&chat).rooms, err == ERR_OK);
    }
    CU_ASSERT_TRUE(fail_at > 5);
    client_abandon(peer.client);
    CU_ASSERT_TRUE(chat_await_empty(&chat));
    chat_stop(&chat);
}

/* Many come and go through many rooms; every message reaches exactly the members. */
static void members_are_exactly_those_who_joined(void)
{
    enum { PEERS = 5, ROOMS = 6, STEPS = 300 };
    struct chat chat;
    struct hub_opts opts = chat_opts(1);
    struct peer peers[PEERS];
    bool in[PEERS][ROOMS] = {{false}};
    static const char *const names[ROOMS] = {"a", "b", "c", "d", "e", "f"};
    uint32_t state = 1;
    chat_start(&chat, &opts);
    for (int i = 0; i < PEERS; i++) {
        begin(&chat, &peers[i], names[i], i % 2 == 0);
        in[i][i] = true;
    }
    for (int step = 0; step < STEPS; step++) {
        state = state * 1664525u + 1013904223u;
        int who = (int)(state >> 8) % PEERS, room = (int)(state >> 16) % ROOMS;
        struct step done = run(&chat, &peers[who], names[room], !in[who][room], 0);
        in[who][room] = !in[who][room];
        CU_ASSERT_EQUAL(done.is_member, in[who][room]);
        char text[16];
        (void)snprintf(text, sizeof text, "%d", step);
        (void)chat_publish(&chat, names[room], text);
        chat_settle(&chat);
        for (int i = 0; i < PEERS; i++) {
            if (in[i][room])
                CU_ASSERT_TRUE(peer_hears(&peers[i], text));
            CU_ASSERT_TRUE(peer_hears_nothing(&peers[i]));
        }
    }
    for (int i = 1; i < PEERS; i++)
        peer_leave(&peers[i]);
    end(&chat, &peers[0]);
}

CU_TestInfo client_rooms_tests[] = {
    {"hears_what_its_rooms_get", hears_what_its_rooms_get},
    {"events_clients_have_groups_of_their_own", events_clients_have_groups_of_their_own},
    {"a_change_takes_its_place_among_the_turns_messages",
     a_change_takes_its_place_among_the_turns_messages},
    {"without_memory_nothing_is_half_done", without_memory_nothing_is_half_done},
    {"a_seat_that_is_left_before_it_could_be_taken_goes_once",
     a_seat_that_is_left_before_it_could_be_taken_goes_once},
    {"without_memory_nobody_is_admitted", without_memory_nobody_is_admitted},
    {"members_are_exactly_those_who_joined", members_are_exactly_those_who_joined},
    CU_TEST_INFO_NULL,
};
