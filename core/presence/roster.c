/*
 * A loner is found by its client's pointer, which the client keeps, so there is no table of them: a
 * slot in a hash table would cost as much as all the rest.
 */
#include "core/presence/roster.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/presence/roster_inside.h"

struct loner {
    struct presence_client client;
    struct roster_user user;
};

void roster_init(struct roster *roster, const struct roster_opts *opts)
{
    *roster = (struct roster){.opts = *opts};
    slab_init(&roster->loners, sizeof(struct loner));
    slab_init(&roster->seats, sizeof(struct roster_seat));
    list_init(&roster->clients);
    list_init(&roster->lingering);
    map_init(&roster->named);
    map_init(&roster->rooms);
}

/* --- ids --- */

/* A client's id is a UUID of version 7, which begins with the time when it was made. */
static uint64_t uuid_time_ms(const unsigned char *uuid)
{
    uint64_t time_ms = 0;
    for (int i = 0; i < 6; i++)
        time_ms = time_ms << 8 | uuid[i];
    return time_ms;
}

static struct slice id_of(const struct profile *profile)
{
    return slice_of(profile->id, profile->id_len);
}

bool roster_is_named(const struct roster_user *user)
{
    return user->profile != NULL && user->profile->id_len != 0;
}

struct slice roster_user_id(const struct roster_user *user, char scratch[UUID_TEXT_LEN])
{
    if (roster_is_named(user))
        return id_of(user->profile);
    uuid_write(user->uuid, scratch);
    return slice_of(scratch, UUID_TEXT_LEN);
}

static struct tab *tab_of(const struct presence_client *client)
{
    return (struct tab *)client;
}

static struct roster_user *user_of(const struct presence_client *client)
{
    return client->named ? &tab_of(client)->profile->is : &((struct loner *)client)->user;
}

struct roster_user *roster_user_of(const struct presence_client *client)
{
    return user_of(client);
}

static struct loner *loner_of(const struct roster_user *user)
{
    return LIST_ENTRY(user, struct loner, user);
}

/* --- clients before they are known --- */

static uint32_t ticks(uint64_t now_ms)
{
    return (uint32_t)(now_ms / ROSTER_TICK_MS);
}

static struct profile *make_profile(struct slice id)
{
    struct profile *profile = mem_zalloc(sizeof *profile + id.len);
    profile->id_len = (unsigned)id.len;
    if (id.len != 0)
        memcpy(profile->id, id.ptr, id.len);
    return profile;
}

static char *copy_text(struct slice text)
{
    if (text.len == 0)
        return NULL;
    char *copy = mem_zalloc(text.len + 1);
    memcpy(copy, text.ptr, text.len);
    return copy;
}

static void free_profile(struct profile *profile)
{
    if (profile == NULL)
        return;
    mem_free(profile->text);
    mem_free(profile->name);
    mem_free(profile);
}

/* A small object of ours, though from a slab: never NULL. */
static struct loner *make_loner(struct roster *roster, struct slice id)
{
    struct loner *loner = slab_alloc(&roster->loners);
    *loner = (struct loner){0};
    uuid_read(id, loner->user.uuid);
    return loner;
}

static struct tab *make_tab(struct slice user, struct slice name)
{
    struct tab *tab = mem_zalloc(sizeof *tab);
    tab->profile = make_profile(user);
    tab->profile->name = copy_text(name);
    return tab;
}

struct presence_client *roster_make_client(struct roster *roster,
                                           const struct roster_newcomer *newcomer, uint64_t now_ms)
{
    bool named = newcomer->user.ptr != NULL;
    struct presence_client *client = named ? &make_tab(newcomer->user, newcomer->name)->client
                                           : &make_loner(roster, newcomer->id)->client;
    client->named = named;
    client->events = newcomer->events;
    atomic_init(&client->active, ticks(now_ms));
    atomic_init(&client->away, false);
    atomic_init(&client->typing, false);
    return client;
}

static void free_loner(struct roster *roster, struct presence_client *client)
{
    free_profile(((struct loner *)client)->user.profile);
    slab_free(&roster->loners, client);
}

/* --- what is said --- */

static bool is_away(const struct roster_user *user)
{
    if (!roster_is_named(user))
        return loner_of(user)->client.idle;
    const struct profile *profile = user->profile;
    bool away = profile->idle;
    for (const struct peer *peer = profile->peers; peer != NULL; peer = peer->next)
        away &= peer->idle;
    return away;
}

static enum presence_status chosen_of(const struct roster_user *user)
{
    return user->profile != NULL ? user->profile->chosen : PRESENCE_ONLINE;
}

static enum presence_status status_of(const struct roster_user *user)
{
    enum presence_status chosen = chosen_of(user);
    return chosen == PRESENCE_ONLINE && is_away(user) ? PRESENCE_AWAY : chosen;
}

bool roster_is_visible(const struct roster_user *user)
{
    return user->profile == NULL || user->profile->chosen != PRESENCE_OFFLINE;
}

struct record roster_record(const struct roster_user *user, const struct roster_seat *seat)
{
    const struct profile *profile = user->profile;
    bool named = roster_is_named(user);
    struct record record = {.status = status_of(user), .text = slice_str("")};
    if (profile != NULL && profile->text != NULL)
        record.text = slice_str(profile->text);
    if (named && profile->name != NULL)
        record.name = slice_str(profile->name);
    record.stamp_ms = profile != NULL ? profile->stamp_ms : 0;
    if (seat != NULL) {
        record.clients = seat->clients;
        record.since_ms = seat->since_ms;
    } else if (named) {
        record.clients = profile->tabs_count;
        record.since_ms = profile->since_ms;
    } else {
        record.clients = list_has_link(&loner_of(user)->client.link);
        record.since_ms = uuid_time_ms(user->uuid);
    }
    return record;
}

struct record roster_farewell(const struct roster_user *user, const struct roster_seat *seat)
{
    struct record record = roster_record(user, seat);
    record.clients = 0;
    record.status = chosen_of(user);
    return record;
}

struct note roster_note(const struct roster_user *user, bool ask)
{
    const struct profile *profile = user->profile;
    return (struct note){.ask = ask,
                         .gone = profile->tabs_count == 0,
                         .idle = profile->idle,
                         .stamp_ms = profile->chosen_ms,
                         .status = profile->chosen,
                         .text = slice_str(profile->text != NULL ? profile->text : "")};
}

static void say_everywhere(const struct roster *roster, const struct roster_user *user)
{
    roster->opts.changed(roster->opts.arg, user, NULL);
    for (const struct roster_seat *seat = user->seats; seat != NULL; seat = seat->next)
        roster->opts.changed(roster->opts.arg, user, seat);
}

void roster_say_note(const struct roster *roster, const struct roster_user *user, bool ask)
{
    if (roster_is_named(user))
        roster->opts.note(roster->opts.arg, user, ask);
}

static void say_change(const struct roster *roster, struct profile *profile,
                       struct roster_time time)
{
    if (profile->stamp_ms < time.wall_ms)
        profile->stamp_ms = time.wall_ms;
    else
        profile->stamp_ms++;
    say_everywhere(roster, &profile->is);
}

/* Says a named user's status when it is another one than was said. */
void roster_review(const struct roster *roster, struct profile *profile, struct roster_time time)
{
    enum presence_status status = status_of(&profile->is);
    if (status == profile->shown)
        return;
    profile->shown = status;
    say_change(roster, profile, time);
}

void roster_rename(struct roster *roster, struct presence_client *client, struct slice name,
                   struct roster_time time)
{
    if (!client->named)
        return;
    struct profile *profile = tab_of(client)->profile;
    if (slice_equals(slice_str(profile->name), name))
        return;
    mem_free(profile->name);
    profile->name = copy_text(name);
    say_change(roster, profile, time);
}

/* --- coming and going --- */

static void forget_profile(struct roster *roster, struct profile *profile)
{
    list_remove(&profile->lingering);
    map_remove(&roster->named, id_of(profile));
    roster->opts.watch(roster->opts.arg, id_of(profile), false);
    roster_drop_peers(roster, profile);
    free_profile(profile);
}

/* The user's profile: the one that is there, or the one that the client brought. */
static struct profile *adopt_profile(struct roster *roster, struct profile *brought,
                                     struct roster_time time)
{
    struct profile *profile = map_get(&roster->named, id_of(brought));
    if (profile == NULL && map_add(&roster->named, id_of(brought), brought) == ERR_OK) {
        brought->since_ms = time.wall_ms;
        roster->opts.watch(roster->opts.arg, id_of(brought), true);
        return brought;
    }
    if (profile == NULL) /* without memory it is a user of its own, known to nobody else */
        return brought;
    if (brought->name != NULL) {
        mem_free(profile->name);
        profile->name = brought->name;
        brought->name = NULL;
    }
    free_profile(brought);
    return profile;
}

static void add_tab(struct roster *roster, struct tab *tab, struct roster_time time)
{
    struct profile *profile = adopt_profile(roster, tab->profile, time);
    bool first = profile->tabs_count == 0, was_idle = profile->idle;
    profile->is.profile = profile;
    profile->user = &profile->is;
    tab->profile = profile;
    tab->next = profile->tabs;
    profile->tabs = tab;
    profile->tabs_count++;
    list_remove(&profile->lingering);
    if (first)
        profile->since_ms = time.wall_ms;
    profile->idle = false;
    if (first)
        profile->shown = status_of(&profile->is);
    if (first || was_idle)
        roster_say_note(roster, &profile->is, first);
    roster->opts.changed(roster->opts.arg, &profile->is, NULL);
    roster_review(roster, profile, time);
}

void roster_add(struct roster *roster, struct presence_client *client, struct roster_time time)
{
    list_push_back(&roster->clients, &client->link);
    roster->count++;
    if (client->named)
        add_tab(roster, tab_of(client), time);
    else
        roster->opts.changed(roster->opts.arg, user_of(client), NULL);
}

static bool are_tabs_idle(const struct profile *profile)
{
    for (const struct tab *tab = profile->tabs; tab != NULL; tab = tab->next)
        if (!tab->client.idle)
            return false;
    return true;
}

static void remove_tab(struct roster *roster, struct tab *tab, struct roster_time time)
{
    struct profile *profile = tab->profile;
    struct tab **at = &profile->tabs;
    while (*at != tab)
        at = &(*at)->next;
    *at = tab->next;
    profile->tabs_count--;
    mem_free(tab);
    roster->opts.changed(roster->opts.arg, &profile->is, NULL);
    if (profile->tabs_count == 0) {
        roster_say_note(roster, &profile->is, false);
        profile->until_ms = time.now_ms + roster->opts.grace_ms;
        if (profile->chosen_ms != 0)
            list_push_back(&roster->lingering, &profile->lingering);
        else
            forget_profile(roster, profile);
    } else if (are_tabs_idle(profile) && !profile->idle) {
        profile->idle = true;
        roster_say_note(roster, &profile->is, false);
        roster_review(roster, profile, time);
    }
}

void roster_remove(struct roster *roster, struct presence_client *client, struct roster_time time)
{
    list_remove(&client->link);
    roster->count--;
    if (client->named) {
        remove_tab(roster, tab_of(client), time);
        return;
    }
    assert(user_of(client)->seats == NULL);
    roster->opts.changed(roster->opts.arg, user_of(client), NULL);
    free_loner(roster, client);
}

void roster_expire(struct roster *roster, struct roster_time time)
{
    for (struct list_link *link; (link = list_first(&roster->lingering)) != NULL;) {
        struct profile *profile = LIST_ENTRY(link, struct profile, lingering);
        if (profile->until_ms > time.now_ms)
            return;
        forget_profile(roster, profile);
    }
}

uint64_t roster_next_ms(const struct roster *roster)
{
    const struct list_link *link = list_first(&roster->lingering);
    return link != NULL ? LIST_ENTRY(link, struct profile, lingering)->until_ms : UINT64_MAX;
}

/* --- status --- */

static bool has_text(const struct profile *profile, struct slice text)
{
    return slice_equals(slice_str(profile->text != NULL ? profile->text : ""), text);
}

static void note_choice(struct profile *profile, uint64_t stamp_ms)
{
    profile->chosen_ms = stamp_ms;
    profile->stamp_ms = profile->stamp_ms < stamp_ms ? stamp_ms : profile->stamp_ms + 1;
}

void roster_set_status(struct roster *roster, struct profile *profile, enum presence_status status,
                       struct slice text, uint64_t stamp_ms)
{
    if (!has_text(profile, text)) {
        mem_free(profile->text);
        profile->text = copy_text(text);
    }
    profile->chosen = status;
    note_choice(profile, stamp_ms);
    profile->shown = status_of(profile->user);
    say_everywhere(roster, profile->user);
}

void roster_choose(struct roster *roster, struct presence_client *client,
                   enum presence_status status, struct slice text, struct roster_time time)
{
    struct roster_user *user = user_of(client);
    enum presence_status chosen = chosen_of(user);
    if (user->profile == NULL && status == PRESENCE_ONLINE && text.len == 0)
        return;
    if (user->profile == NULL)
        user->profile = make_profile(slice_of("", 0));
    struct profile *profile = user->profile;
    profile->user = user;
    uint64_t stamp_ms = time.wall_ms > profile->chosen_ms ? time.wall_ms : profile->chosen_ms + 1;
    if (chosen != status || !has_text(profile, text))
        roster_set_status(roster, profile, status, text, stamp_ms);
    else /* no news here; but another pod may hold what was chosen there before */
        note_choice(profile, stamp_ms);
    roster_say_note(roster, user, false);
}

/* A client's silence began or ended. */
static void note_idle(struct roster *roster, struct presence_client *client, bool idle,
                      struct roster_time time)
{
    client->idle = idle;
    if (!client->named) {
        struct roster_user *user = user_of(client);
        if (user->profile == NULL || user->profile->chosen == PRESENCE_ONLINE)
            say_everywhere(roster, user);
        return;
    }
    struct profile *profile = tab_of(client)->profile;
    bool was_idle = profile->idle;
    profile->idle = are_tabs_idle(profile);
    if (profile->idle != was_idle)
        roster_say_note(roster, &profile->is, false);
    roster_review(roster, profile, time);
}

void roster_wake(struct roster *roster, struct presence_client *client, struct roster_time time)
{
    if (client->idle)
        note_idle(roster, client, false, time);
}

static bool is_silent(const struct roster *roster, const struct presence_client *client,
                      struct roster_time time)
{
    uint32_t silent = ticks(time.now_ms) - atomic_load(&client->active);
    /* Ahead of us by a tick when its loop's clock is. */
    return silent < UINT32_MAX / 2 && (uint64_t)silent * ROSTER_TICK_MS >= roster->opts.away_ms;
}

void roster_scan(struct roster *roster, struct roster_time time)
{
    size_t count = roster->count < ROSTER_SCAN_MAX ? roster->count : ROSTER_SCAN_MAX;
    struct list_link *link = NULL;
    for (size_t i = 0; i < count && (link = list_first(&roster->clients)) != NULL; i++) {
        struct presence_client *client = LIST_ENTRY(link, struct presence_client, link);
        list_move_back(&roster->clients, link);
        if (client->idle || !is_silent(roster, client, time))
            continue;
        /* From here on its loop tells of a message. One that came just now is seen here or there:
         * both sides write first and look then. */
        atomic_store(&client->away, true);
        if (is_silent(roster, client, time))
            note_idle(roster, client, true, time);
    }
}

static void note_typing(const struct profile *profile)
{
    for (struct tab *tab = profile->tabs; tab != NULL; tab = tab->next)
        atomic_store(&tab->client.typing, true);
}

void roster_note_typing(struct presence_client *client)
{
    if (client->named)
        note_typing(tab_of(client)->profile);
    else
        atomic_store(&client->typing, true);
}

void roster_note_typing_of(struct roster *roster, struct slice id)
{
    const struct profile *profile = map_get(&roster->named, id);
    if (profile != NULL)
        note_typing(profile);
}

/* --- all --- */

void roster_each(const struct roster *roster,
                 void (*each)(void *arg, const struct roster_user *user), void *arg)
{
    const struct list *clients = &roster->clients;
    for (struct list_link *link = clients->head.next; link != &clients->head; link = link->next) {
        const struct presence_client *client = LIST_ENTRY(link, struct presence_client, link);
        if (!client->named)
            each(arg, user_of(client));
    }
    size_t at = 0;
    for (const struct profile *profile; (profile = map_next(&roster->named, &at)) != NULL;)
        each(arg, &profile->is);
}

void roster_fini(struct roster *roster)
{
    for (struct list_link *link; (link = list_pop_front(&roster->clients)) != NULL;) {
        struct presence_client *client = LIST_ENTRY(link, struct presence_client, link);
        struct roster_user *user = user_of(client);
        for (struct roster_seat *seat; (seat = user->seats) != NULL;) {
            user->seats = seat->next;
            slab_free(&roster->seats, seat);
        }
        if (client->named)
            mem_free(client);
        else
            free_loner(roster, client);
    }
    size_t at = 0;
    for (struct profile *profile; (profile = map_next(&roster->named, &at)) != NULL;) {
        roster->opts.watch(roster->opts.arg, id_of(profile), false);
        roster_drop_peers(roster, profile);
        free_profile(profile);
    }
    map_fini(&roster->named);
    at = 0;
    for (struct roster_room *room; (room = map_next(&roster->rooms, &at)) != NULL;) {
        list_remove(&room->dirty);
        buf_fini(&room->pending);
        mem_free(room->seats);
        mem_free(room);
    }
    map_fini(&roster->rooms);
    slab_fini(&roster->seats);
    slab_fini(&roster->loners);
}
