/* What clients are told about a room, rule by rule, with a clock of the test's own. */
#include "core/presence/replica.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"

extern CU_TestInfo replica_tests[];

enum { GRACE_MS = 5000 };

/* Two pods, of which the first is this one, and what was told: "+ann -bob ~ann:busy". */
struct scene {
    struct leases leases;
    struct replicas replicas;
    struct replica room;
    struct lease *self, *other;
    struct buf told;
    uint64_t now_ms, rev;
};

static void on_tell(void *arg, struct replica *replica, enum replica_event event,
                    const struct presence_view *view)
{
    struct scene *scene = arg;
    static const char marks[] = {
        [REPLICA_JOIN] = '+', [REPLICA_LEAVE] = '-', [REPLICA_UPDATE] = '~'};
    CU_ASSERT_PTR_EQUAL(replica, &scene->room);
    buf_printf(&scene->told, " %c%.*s", marks[event], (int)view->user.len, view->user.ptr);
    if (event == REPLICA_UPDATE)
        buf_printf(&scene->told, ":%s", presence_status_name(view->status));
}

static void begin_loading(struct scene *scene)
{
    *scene = (struct scene){.now_ms = 1000};
    buf_init(&scene->told, 65536);
    leases_init(&scene->leases);
    scene->self = leases_get(&scene->leases, slice_str("self-self-self-s"));
    scene->other = leases_get(&scene->leases, slice_str("other-other-othe"));
    replicas_init(&scene->replicas, &scene->leases, GRACE_MS);
    scene->replicas.arg = scene;
    scene->replicas.tell = on_tell;
    replica_init(&scene->room, &scene->replicas, slice_str("lobby"));
}

static void begin(struct scene *scene)
{
    begin_loading(scene);
    replica_end_load(&scene->room, scene->self, false, scene->now_ms);
}

static void end(struct scene *scene)
{
    replica_fini(&scene->room);
    leases_put(&scene->leases, scene->self);
    leases_put(&scene->leases, scene->other);
    leases_fini(&scene->leases);
    buf_fini(&scene->told);
}

/* What was told since the last call. */
static void expect(struct scene *scene, const char *told)
{
    struct slice got = slice_of(scene->told.len != 0 ? scene->told.ptr : "", scene->told.len);
    if (!slice_equals_str(got, told))
        fprintf(stderr, "expected \"%s\", told \"%.*s\"\n", told, (int)got.len, got.ptr);
    CU_ASSERT_TRUE(slice_equals_str(got, told));
    buf_clear(&scene->told);
}

static struct record record_of(struct scene *scene, uint32_t clients)
{
    return (struct record){
        .rev = ++scene->rev, .clients = clients, .since_ms = 100, .text = slice_str("")};
}

static void say(struct scene *scene, struct lease *lease, const char *user, uint32_t clients)
{
    struct record record = record_of(scene, clients);
    replica_apply(&scene->room, lease, slice_str(user), &record, scene->now_ms);
}

static void say_status(struct scene *scene, struct lease *lease, const char *user,
                       enum presence_status status, uint64_t stamp_ms)
{
    struct record record = record_of(scene, 1);
    record.status = status;
    record.stamp_ms = stamp_ms;
    replica_apply(&scene->room, lease, slice_str(user), &record, scene->now_ms);
}

static void say_farewell(struct scene *scene, struct lease *lease, const char *user,
                         enum presence_status status, uint64_t stamp_ms)
{
    struct record record = record_of(scene, 0);
    record.status = status;
    record.stamp_ms = stamp_ms;
    replica_apply(&scene->room, lease, slice_str(user), &record, scene->now_ms);
}

static void load(struct scene *scene, struct lease *lease, const char *user, uint32_t clients,
                 uint64_t rev)
{
    struct record record = record_of(scene, clients);
    record.rev = rev;
    replica_take_loaded(&scene->room, lease, slice_str(user), &record, scene->now_ms);
}

static void pass(struct scene *scene, uint64_t ms)
{
    scene->now_ms += ms;
    replicas_expire(&scene->replicas, scene->now_ms);
}

struct listed {
    char names[256];
    uint32_t clients;
    uint64_t since_ms;
};

static void list_view(void *arg, const struct presence_view *view)
{
    struct listed *listed = arg;
    size_t len = strlen(listed->names);
    snprintf(listed->names + len, sizeof listed->names - len, " %.*s", (int)view->user.len,
             view->user.ptr);
    listed->clients += view->clients;
    listed->since_ms = view->since_ms;
}

static struct listed list(const struct scene *scene, bool lingering)
{
    struct listed listed = {0};
    replica_each(&scene->room, lingering, list_view, &listed);
    return listed;
}

/* --- coming and going --- */

static void a_user_joins_once_for_all_its_clients(void)
{
    struct scene scene;
    begin(&scene);
    say(&scene, scene.self, "ann", 1);
    say(&scene, scene.self, "ann", 2);
    say(&scene, scene.other, "ann", 1);
    expect(&scene, " +ann");
    CU_ASSERT_EQUAL(list(&scene, false).clients, 3);
    end(&scene);
}

static void a_leave_is_told_after_the_grace_and_not_before(void)
{
    struct scene scene;
    begin(&scene);
    say(&scene, scene.other, "ann", 1);
    say(&scene, scene.other, "ann", 0);
    CU_ASSERT_EQUAL(replicas_next_ms(&scene.replicas), scene.now_ms + GRACE_MS);
    pass(&scene, GRACE_MS - 1);
    expect(&scene, " +ann");
    pass(&scene, 1);
    expect(&scene, " -ann");
    CU_ASSERT_EQUAL(replicas_next_ms(&scene.replicas), UINT64_MAX);
    CU_ASSERT_EQUAL(scene.room.users.count, 0);
    pass(&scene, GRACE_MS);
    expect(&scene, "");
    end(&scene);
}

static void who_comes_back_in_time_never_left(void)
{
    struct scene scene;
    begin(&scene);
    say(&scene, scene.other, "ann", 1);
    say(&scene, scene.other, "ann", 0);
    pass(&scene, GRACE_MS - 1);
    say(&scene, scene.self, "ann", 1);
    pass(&scene, 10 * GRACE_MS);
    expect(&scene, " +ann");
    end(&scene);
}

static void who_has_a_client_on_another_pod_stays(void)
{
    struct scene scene;
    begin(&scene);
    say(&scene, scene.self, "ann", 1);
    say(&scene, scene.other, "ann", 1);
    say(&scene, scene.self, "ann", 0);
    pass(&scene, 2 * GRACE_MS);
    expect(&scene, " +ann");
    say(&scene, scene.other, "ann", 0);
    pass(&scene, GRACE_MS);
    expect(&scene, " -ann");
    end(&scene);
}

static void leaves_come_in_the_order_of_going(void)
{
    struct scene scene;
    begin(&scene);
    say(&scene, scene.self, "ann", 1);
    say(&scene, scene.self, "bob", 1);
    say(&scene, scene.self, "bob", 0);
    pass(&scene, 1);
    say(&scene, scene.self, "ann", 0);
    pass(&scene, GRACE_MS - 1);
    expect(&scene, " +ann +bob -bob");
    pass(&scene, 1);
    expect(&scene, " -ann");
    end(&scene);
}

static void who_lingers_is_listed_on_demand(void)
{
    struct scene scene;
    begin(&scene);
    say(&scene, scene.self, "ann", 1);
    say(&scene, scene.self, "ann", 0);
    CU_ASSERT_STRING_EQUAL(list(&scene, false).names, "");
    CU_ASSERT_STRING_EQUAL(list(&scene, true).names, " ann");
    CU_ASSERT_EQUAL(list(&scene, true).clients, 0);
    pass(&scene, GRACE_MS);
    CU_ASSERT_STRING_EQUAL(list(&scene, true).names, "");
    end(&scene);
}

static void who_was_never_there_leaves_nothing_behind(void)
{
    struct scene scene;
    begin(&scene);
    say(&scene, scene.other, "ann", 0);
    CU_ASSERT_EQUAL(scene.room.users.count, 0);
    CU_ASSERT_EQUAL(scene.other->refs, 1);
    expect(&scene, "");
    end(&scene);
}

/* --- status --- */

static void a_status_is_told_when_it_is_another_one(void)
{
    struct scene scene;
    begin(&scene);
    say_status(&scene, scene.self, "ann", PRESENCE_ONLINE, 0);
    say_status(&scene, scene.self, "ann", PRESENCE_BUSY, 10);
    say_status(&scene, scene.self, "ann", PRESENCE_BUSY, 20);
    say_status(&scene, scene.other, "ann", PRESENCE_BUSY, 20);
    expect(&scene, " +ann ~ann:busy");
    end(&scene);
}

static void a_text_is_told_when_it_is_another_one(void)
{
    struct scene scene;
    struct record record;
    begin(&scene);
    say(&scene, scene.self, "ann", 1);
    record = record_of(&scene, 1);
    record.text = slice_str("lunch");
    replica_apply(&scene.room, scene.self, slice_str("ann"), &record, scene.now_ms);
    record.rev = ++scene.rev;
    replica_apply(&scene.room, scene.self, slice_str("ann"), &record, scene.now_ms);
    expect(&scene, " +ann ~ann:online");
    end(&scene);
}

static void the_latest_status_of_the_pods_counts(void)
{
    struct scene scene;
    begin(&scene);
    say_status(&scene, scene.self, "ann", PRESENCE_BUSY, 20);
    say_status(&scene, scene.other, "ann", PRESENCE_ONLINE, 10);
    expect(&scene, " +ann");
    say_status(&scene, scene.other, "ann", PRESENCE_AWAY, 30);
    expect(&scene, " ~ann:away");
    end(&scene);
}

static void the_invisible_leave_and_join_at_once(void)
{
    struct scene scene;
    begin(&scene);
    say_status(&scene, scene.self, "ann", PRESENCE_ONLINE, 0);
    say_status(&scene, scene.self, "ann", PRESENCE_OFFLINE, 10);
    expect(&scene, " +ann -ann");
    CU_ASSERT_STRING_EQUAL(list(&scene, true).names, "");
    say_status(&scene, scene.self, "ann", PRESENCE_ONLINE, 20);
    expect(&scene, " +ann");
    end(&scene);
}

static void who_comes_and_goes_invisibly_is_never_told(void)
{
    struct scene scene;
    begin(&scene);
    say_status(&scene, scene.other, "ann", PRESENCE_OFFLINE, 10);
    say(&scene, scene.other, "ann", 0);
    pass(&scene, GRACE_MS);
    expect(&scene, "");
    CU_ASSERT_EQUAL(scene.room.users.count, 0);
    end(&scene);
}

static void a_status_holds_for_who_comes_back_on_another_pod(void)
{
    struct scene scene;
    begin(&scene);
    say_status(&scene, scene.self, "ann", PRESENCE_BUSY, 10);
    say_farewell(&scene, scene.self, "ann", PRESENCE_BUSY, 10);
    say(&scene, scene.other, "ann", 1); /* it does not know yet */
    expect(&scene, " +ann");
    say_status(&scene, scene.other, "ann", PRESENCE_BUSY, 10);
    say_status(&scene, scene.other, "ann", PRESENCE_ONLINE, 20); /* chosen there */
    expect(&scene, " ~ann:online");
    pass(&scene, GRACE_MS);
    expect(&scene, "");
    end(&scene);
}

static void a_status_that_nobody_repeats_ends_with_the_grace(void)
{
    struct scene scene;
    begin(&scene);
    say_status(&scene, scene.self, "ann", PRESENCE_BUSY, 10);
    say_farewell(&scene, scene.self, "ann", PRESENCE_BUSY, 10);
    say(&scene, scene.other, "ann", 1);
    CU_ASSERT_EQUAL(replicas_next_ms(&scene.replicas), scene.now_ms + GRACE_MS);
    pass(&scene, GRACE_MS - 1);
    expect(&scene, " +ann");
    pass(&scene, 1);
    expect(&scene, " ~ann:online");
    CU_ASSERT_EQUAL(replicas_next_ms(&scene.replicas), UINT64_MAX);
    end(&scene);
}

static void the_invisible_stay_so_on_the_way_to_another_pod(void)
{
    struct scene scene;
    begin(&scene);
    say_status(&scene, scene.self, "ann", PRESENCE_OFFLINE, 10);
    say_farewell(&scene, scene.self, "ann", PRESENCE_OFFLINE, 10);
    say(&scene, scene.other, "ann", 1);
    CU_ASSERT_STRING_EQUAL(list(&scene, true).names, "");
    say_status(&scene, scene.other, "ann", PRESENCE_OFFLINE, 10);
    pass(&scene, GRACE_MS);
    expect(&scene, "");
    end(&scene);
}

/* Who goes says what it chose, so that silence ends with the clients that were silent. */
static void the_status_that_holds_is_the_chosen_one(void)
{
    struct scene scene;
    begin(&scene);
    for (int chosen = PRESENCE_ONLINE; chosen <= PRESENCE_AWAY; chosen++) {
        say_status(&scene, scene.self, "ann", PRESENCE_AWAY, 10);
        say_farewell(&scene, scene.self, "ann", (enum presence_status)chosen, 10);
        say(&scene, scene.other, "ann", 1);
        expect(&scene, chosen == PRESENCE_ONLINE ? " +ann ~ann:online" : " +ann");
        say(&scene, scene.other, "ann", 0);
        pass(&scene, GRACE_MS);
        expect(&scene, " -ann");
    }
    end(&scene);
}

/* --- words that come late --- */

static void an_older_word_changes_nothing(void)
{
    struct scene scene;
    struct record late;
    begin(&scene);
    late = record_of(&scene, 0);
    say(&scene, scene.other, "ann", 1);
    replica_apply(&scene.room, scene.other, slice_str("ann"), &late, scene.now_ms);
    pass(&scene, GRACE_MS);
    expect(&scene, " +ann");
    end(&scene);
}

/* --- loading --- */

static void who_was_there_before_is_not_told(void)
{
    struct scene scene;
    begin_loading(&scene);
    load(&scene, scene.self, "ann", 1, 1);
    load(&scene, scene.other, "bob", 1, 1);
    expect(&scene, "");
    replica_end_load(&scene.room, scene.self, false, scene.now_ms);
    expect(&scene, "");
    CU_ASSERT_EQUAL(list(&scene, false).clients, 2);
    say(&scene, scene.other, "bob", 0);
    pass(&scene, GRACE_MS);
    expect(&scene, " -bob");
    end(&scene);
}

static void who_comes_while_it_loads_is_told_at_its_end(void)
{
    struct scene scene;
    begin_loading(&scene);
    say(&scene, scene.self, "ann", 1);
    say(&scene, scene.other, "bob", 1);
    expect(&scene, "");
    replica_end_load(&scene.room, scene.self, true, scene.now_ms);
    CU_ASSERT_EQUAL(scene.told.len, strlen(" +ann +bob"));
    buf_clear(&scene.told);
    end(&scene);
}

static void who_came_live_but_was_on_another_pod_is_not_told(void)
{
    struct scene scene;
    begin_loading(&scene);
    say(&scene, scene.self, "ann", 1);
    load(&scene, scene.other, "ann", 1, 1);
    replica_end_load(&scene.room, scene.self, true, scene.now_ms);
    expect(&scene, "");
    end(&scene);
}

static void what_is_loaded_does_not_undo_what_came_live(void)
{
    struct scene scene;
    begin_loading(&scene);
    scene.rev = 10;
    say(&scene, scene.other, "ann", 1);
    say(&scene, scene.other, "ann", 0);
    say(&scene, scene.other, "bob", 0);
    load(&scene, scene.other, "ann", 1, 5);
    load(&scene, scene.other, "bob", 1, 5);
    replica_end_load(&scene.room, scene.self, true, scene.now_ms);
    pass(&scene, GRACE_MS);
    expect(&scene, "");
    CU_ASSERT_EQUAL(scene.room.users.count, 0);
    end(&scene);
}

static void what_is_loaded_anew_is_told(void)
{
    struct scene scene;
    begin(&scene);
    say(&scene, scene.self, "ann", 1);
    say(&scene, scene.other, "bob", 1);
    replica_begin_load(&scene.room);
    load(&scene, scene.other, "bob", 1, scene.rev);
    load(&scene, scene.other, "eve", 1, 1);
    replica_end_load(&scene.room, scene.self, true, scene.now_ms);
    expect(&scene, " +ann +bob +eve");
    pass(&scene, GRACE_MS);
    expect(&scene, "");
    end(&scene);
}

static void a_sweep_ends_what_did_not_come_again(void)
{
    struct scene scene;
    begin(&scene);
    say(&scene, scene.self, "ann", 1);
    say(&scene, scene.other, "bob", 1);
    say(&scene, scene.other, "eve", 1);
    replica_begin_load(&scene.room);
    say(&scene, scene.other, "eve", 2);
    replica_end_load(&scene.room, scene.self, false, scene.now_ms);
    pass(&scene, GRACE_MS);
    expect(&scene, " +ann +bob +eve");
    replica_begin_load(&scene.room);
    say(&scene, scene.other, "eve", 1);
    replica_end_load(&scene.room, scene.self, true, scene.now_ms);
    pass(&scene, GRACE_MS);
    expect(&scene, " -bob");
    end(&scene);
}

/* --- pods that go --- */

static void count_entry(void *arg, struct replica *replica, struct slice user)
{
    (void)replica;
    (void)user;
    ++*(unsigned *)arg;
}

static void a_dead_pods_users_leave_at_once(void)
{
    struct scene scene;
    unsigned entries = 0;
    begin(&scene);
    say(&scene, scene.other, "ann", 1);
    say(&scene, scene.other, "bob", 1);
    say(&scene, scene.self, "bob", 1);
    say(&scene, scene.other, "eve", 1);
    say(&scene, scene.other, "eve", 0);
    buf_clear(&scene.told);
    replica_drop_lease(&scene.room, scene.other, count_entry, &entries);
    CU_ASSERT_EQUAL(entries, 3);
    CU_ASSERT_EQUAL(scene.told.len, strlen(" -ann -eve"));
    CU_ASSERT_EQUAL(scene.other->refs, 1);
    CU_ASSERT_STRING_EQUAL(list(&scene, true).names, " bob");
    buf_clear(&scene.told);
    replica_drop_lease(&scene.room, scene.other, count_entry, &entries);
    pass(&scene, GRACE_MS);
    expect(&scene, "");
    CU_ASSERT_EQUAL(entries, 3);
    end(&scene);
}

static void a_dead_pod_is_dropped_while_loading_without_a_word(void)
{
    struct scene scene;
    unsigned entries = 0;
    begin_loading(&scene);
    load(&scene, scene.other, "ann", 1, 1);
    replica_drop_lease(&scene.room, scene.other, count_entry, &entries);
    replica_end_load(&scene.room, scene.self, true, scene.now_ms);
    expect(&scene, "");
    CU_ASSERT_EQUAL(scene.room.users.count, 0);
    end(&scene);
}

static void a_pods_next_lease_takes_the_place_of_the_one_before(void)
{
    struct scene scene;
    begin(&scene);
    struct lease *first = leases_get(&scene.leases, slice_str("4f0c2a91d700000f"));
    struct lease *next = leases_get(&scene.leases, slice_str("4f0c2a91d7000010"));
    say(&scene, first, "ann", 2);
    say(&scene, scene.other, "ann", 1);
    CU_ASSERT_EQUAL(list(&scene, false).clients, 3);
    say(&scene, next, "ann", 2);
    CU_ASSERT_EQUAL(list(&scene, false).clients, 3);
    CU_ASSERT_EQUAL(first->refs, 1);
    /* What comes late under the lease before, from Redis or live, is out of date. */
    load(&scene, first, "ann", 2, 1000);
    say(&scene, first, "ann", 2);
    CU_ASSERT_EQUAL(list(&scene, false).clients, 3);
    say(&scene, next, "ann", 0);
    CU_ASSERT_EQUAL(list(&scene, false).clients, 1);
    expect(&scene, " +ann");
    leases_put(&scene.leases, first);
    leases_put(&scene.leases, next);
    end(&scene);
}

static void a_lease_is_followed_by_later_ones_of_its_pod(void)
{
    struct leases leases;
    leases_init(&leases);
    struct lease *lease = leases_get(&leases, slice_str("4f0c2a91d700000f"));
    const struct lease before = *lease;
    leases_advance(&leases, lease);
    CU_ASSERT_TRUE(slice_equals_str(lease_id(lease), "4f0c2a91d7000010"));
    CU_ASSERT_PTR_EQUAL(map_get(&leases.by_id, lease_id(lease)), lease);
    CU_ASSERT_PTR_NULL(map_get(&leases.by_id, lease_id(&before)));
    CU_ASSERT_TRUE(lease_is_followed_by(&before, lease));
    CU_ASSERT_FALSE(lease_is_followed_by(lease, &before));
    CU_ASSERT_FALSE(lease_is_followed_by(lease, lease));
    struct lease *stranger = leases_get(&leases, slice_str("4f0c2a91d8000020"));
    CU_ASSERT_FALSE(lease_is_followed_by(lease, stranger));
    leases_put(&leases, stranger);
    leases_put(&leases, lease);
    leases_fini(&leases);
}

static void since_is_the_earliest_of_the_pods(void)
{
    struct scene scene;
    struct record record;
    begin(&scene);
    record = record_of(&scene, 1);
    record.since_ms = 50;
    say(&scene, scene.self, "ann", 1);
    replica_apply(&scene.room, scene.other, slice_str("ann"), &record, scene.now_ms);
    CU_ASSERT_EQUAL(list(&scene, false).since_ms, 50);
    say(&scene, scene.other, "ann", 0);
    CU_ASSERT_EQUAL(list(&scene, false).since_ms, 100);
    end(&scene);
}

CU_TestInfo replica_tests[] = {
    {"a_user_joins_once_for_all_its_clients", a_user_joins_once_for_all_its_clients},
    {"a_leave_is_told_after_the_grace_and_not_before",
     a_leave_is_told_after_the_grace_and_not_before},
    {"who_comes_back_in_time_never_left", who_comes_back_in_time_never_left},
    {"who_has_a_client_on_another_pod_stays", who_has_a_client_on_another_pod_stays},
    {"leaves_come_in_the_order_of_going", leaves_come_in_the_order_of_going},
    {"who_lingers_is_listed_on_demand", who_lingers_is_listed_on_demand},
    {"who_was_never_there_leaves_nothing_behind", who_was_never_there_leaves_nothing_behind},
    {"a_status_is_told_when_it_is_another_one", a_status_is_told_when_it_is_another_one},
    {"a_text_is_told_when_it_is_another_one", a_text_is_told_when_it_is_another_one},
    {"the_latest_status_of_the_pods_counts", the_latest_status_of_the_pods_counts},
    {"the_invisible_leave_and_join_at_once", the_invisible_leave_and_join_at_once},
    {"who_comes_and_goes_invisibly_is_never_told", who_comes_and_goes_invisibly_is_never_told},
    {"a_status_holds_for_who_comes_back_on_another_pod",
     a_status_holds_for_who_comes_back_on_another_pod},
    {"a_status_that_nobody_repeats_ends_with_the_grace",
     a_status_that_nobody_repeats_ends_with_the_grace},
    {"the_invisible_stay_so_on_the_way_to_another_pod",
     the_invisible_stay_so_on_the_way_to_another_pod},
    {"the_status_that_holds_is_the_chosen_one", the_status_that_holds_is_the_chosen_one},
    {"an_older_word_changes_nothing", an_older_word_changes_nothing},
    {"who_was_there_before_is_not_told", who_was_there_before_is_not_told},
    {"who_comes_while_it_loads_is_told_at_its_end", who_comes_while_it_loads_is_told_at_its_end},
    {"who_came_live_but_was_on_another_pod_is_not_told",
     who_came_live_but_was_on_another_pod_is_not_told},
    {"what_is_loaded_does_not_undo_what_came_live", what_is_loaded_does_not_undo_what_came_live},
    {"what_is_loaded_anew_is_told", what_is_loaded_anew_is_told},
    {"a_sweep_ends_what_did_not_come_again", a_sweep_ends_what_did_not_come_again},
    {"a_dead_pods_users_leave_at_once", a_dead_pods_users_leave_at_once},
    {"a_dead_pod_is_dropped_while_loading_without_a_word",
     a_dead_pod_is_dropped_while_loading_without_a_word},
    {"a_pods_next_lease_takes_the_place_of_the_one_before",
     a_pods_next_lease_takes_the_place_of_the_one_before},
    {"a_lease_is_followed_by_later_ones_of_its_pod", a_lease_is_followed_by_later_ones_of_its_pod},
    {"since_is_the_earliest_of_the_pods", since_is_the_earliest_of_the_pods},
    CU_TEST_INFO_NULL,
};
