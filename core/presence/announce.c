/*
 * What this pod says about its users: at once to its own replicas, and while Redis takes commands
 * to the room's hash (HSET, HDEL) and, gathered by room and turn, to the pods that follow the room.
 *
 * The hash comes first and the signal behind it on the same connection: whoever missed the signal
 * because it began to follow the room only then finds the word in the hash.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/bus/bus.h"
#include "core/presence/inside.h"

#define PRESENCE_KEY "realtime:presence:"
#define LEASE_KEY    "realtime:lease:"

enum {
    KEY_MAX = 256,
    /* A signal is sent when it has so many bytes; with one more word it stays below what a pod
     * takes at least. */
    SIGNAL_BYTES = 2000,
    /* A room that nobody says anything about is forgotten by Redis after a day; so often its pods
     * put that off. It is there for what pods leave behind that are gone for good. */
    HASH_LIFE_S = 24 * 60 * 60,
    REFRESH_MS = 6 * 60 * 60 * 1000,
};

static struct slice join(char out[KEY_MAX], const char *prefix, struct slice rest)
{
    int len = snprintf(out, KEY_MAX, "%s%.*s", prefix, (int)rest.len, rest.ptr);
    return slice_of(out, (size_t)len);
}

static struct slice field_of(char out[KEY_MAX], const struct lease *lease, struct slice user)
{
    int len = snprintf(out, KEY_MAX, "%.*s:%.*s", LEASE_ID_LEN, lease->id, (int)user.len, user.ptr);
    return slice_of(out, (size_t)len);
}

/* The first lease of this process. */
static void make_lease_id(char out[LEASE_ID_LEN])
{
    char text[LEASE_ID_LEN + 1];
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = clock_monotonic_ns();
    snprintf(text, sizeof text, "%016llx", (unsigned long long)random);
    memcpy(out, text, LEASE_POD_LEN);
    memset(out + LEASE_POD_LEN, '0', LEASE_ID_LEN - LEASE_POD_LEN);
}

void announce_init(struct presence *presence)
{
    char id[LEASE_ID_LEN];
    make_lease_id(id);
    list_init(&presence->dirty);
    presence->self = leases_get(&presence->leases, slice_of(id, sizeof id));
    presence->self->is_known = true;
    presence->renew_ms = presence->refresh_ms = UINT64_MAX;
}

/* --- signals --- */

static void begin_signal(const struct presence *presence, struct buf *buf)
{
    buf_clear(buf);
    buf_printf(buf, "{\"presence\":{\"lease\":\"%.*s\",", LEASE_ID_LEN, presence->self->id);
}

static void send_signal(struct presence *presence, struct slice room, struct buf *buf)
{
    char group[KEY_MAX];
    buf_append_str(buf, "}}");
    if (buf->err == ERR_OK)
        bus_signal(presence->bus, join(group, "/", room), buf_slice(buf));
}

/* Another text than the last one: equal ones are taken for repeats by the bus. */
static void make_unique(struct presence *presence)
{
    buf_printf(&presence->scratch, ",\"number\":%llu", (unsigned long long)++presence->rev);
}

static void flush_room(struct presence *presence, struct roster_room *room)
{
    list_remove(&room->dirty);
    begin_signal(presence, &presence->scratch);
    buf_append_str(&presence->scratch, "\"set\":[");
    buf_append_slice(&presence->scratch, buf_slice(&room->pending));
    buf_append_char(&presence->scratch, ']');
    /* The memory too: most rooms say something once in a while. */
    buf_fini(&room->pending);
    buf_init(&room->pending, SIZE_MAX / 2);
    send_signal(presence, roster_room_name(room), &presence->scratch);
}

static void flush_dirty(struct presence *presence)
{
    for (struct list_link *link; (link = list_first(&presence->dirty)) != NULL;) {
        struct roster_room *room = LIST_ENTRY(link, struct roster_room, dirty);
        flush_room(presence, room);
        if (room != presence->global)
            roster_forget_room(&presence->roster, room);
    }
}

static void add_word(struct presence *presence, struct roster_room *room, struct slice user,
                     struct slice record)
{
    struct buf *pending = &room->pending;
    buf_append_str(pending, pending->len != 0 ? ",[" : "[");
    json_append_string(pending, user);
    buf_append_char(pending, ',');
    buf_append_slice(pending, record);
    buf_append_char(pending, ']');
    list_remove(&room->dirty);
    list_push_back(&presence->dirty, &room->dirty);
    if (pending->len > SIGNAL_BYTES)
        flush_room(presence, room);
}

void announce_note(void *arg, const struct roster_user *user, bool ask)
{
    struct presence *presence = arg;
    char id[UUID_TEXT_LEN], room[KEY_MAX];
    struct note note = roster_note(user, ask);
    if (!presence->store_is_up)
        return;
    begin_signal(presence, &presence->scratch);
    buf_append_str(&presence->scratch, "\"user\":");
    note_append(&presence->scratch, &note);
    make_unique(presence);
    send_signal(presence, join(room, "user:", roster_user_id(user, id)), &presence->scratch);
}

void announce_typing(struct presence *presence, struct slice room, struct slice user, bool typing)
{
    if (!presence->store_is_up)
        return;
    begin_signal(presence, &presence->scratch);
    buf_append_str(&presence->scratch, "\"typing\":[");
    json_append_string(&presence->scratch, user);
    buf_append_str(&presence->scratch, typing ? ",true]" : ",false]");
    make_unique(presence);
    send_signal(presence, room, &presence->scratch);
}

/* --- words --- */

static void keep_alive(struct presence *presence, struct slice key)
{
    char life[16];
    snprintf(life, sizeof life, "%d", HASH_LIFE_S);
    const struct slice words[] = {slice_str("EXPIRE"), key, slice_str(life)};
    bus_command(presence->bus, words, 3, NULL, NULL);
}

void announce_delete(struct presence *presence, struct slice room, const struct lease *lease,
                     struct slice user)
{
    char key[KEY_MAX], field[KEY_MAX];
    if (!presence->store_is_up)
        return;
    const struct slice words[] = {slice_str("HDEL"), join(key, PRESENCE_KEY, room),
                                  field_of(field, lease, user)};
    bus_command(presence->bus, words, 3, NULL, NULL);
}

static void write_word(struct presence *presence, struct roster_room *room, struct slice user,
                       const struct record *record)
{
    char key[KEY_MAX], field[KEY_MAX];
    buf_clear(&presence->scratch);
    record_append(&presence->scratch, record);
    struct slice value = buf_slice(&presence->scratch);
    if (record->clients != 0) {
        const struct slice words[] = {slice_str("HSET"),
                                      join(key, PRESENCE_KEY, roster_room_name(room)),
                                      field_of(field, presence->self, user), value};
        bus_command(presence->bus, words, 4, NULL, NULL);
        if (room->count == 1 && record->clients == 1)
            keep_alive(presence, words[1]);
    } else {
        announce_delete(presence, roster_room_name(room), presence->self, user);
    }
    add_word(presence, room, user, value);
}

void announce_changed(void *arg, const struct roster_user *user, const struct roster_seat *seat)
{
    struct presence *presence = arg;
    struct roster_room *room = seat != NULL ? seat->room : presence->global;
    struct record record = roster_record(user, seat);
    char scratch[UUID_TEXT_LEN];
    struct slice id = roster_user_id(user, scratch);
    if (record.clients == 0)
        record = roster_farewell(user, seat);
    record.rev = ++presence->rev;
    if (room->replica != NULL)
        replica_apply(room->replica, presence->self, id, &record, loop_now_ms(presence->loop));
    if (presence->store_is_up)
        write_word(presence, room, id, &record);
}

/* --- the lease --- */

struct saying {
    struct presence *presence;
    const struct lease *before; /* NULL: this lease is the first one */
};

/* Says it, and behind that takes back what the lease before has of it. */
static void say_anew(const struct saying *saying, const struct roster_user *user,
                     const struct roster_seat *seat)
{
    struct presence *presence = saying->presence;
    const struct roster_room *room = seat != NULL ? seat->room : presence->global;
    char scratch[UUID_TEXT_LEN];
    announce_changed(presence, user, seat);
    if (saying->before != NULL)
        announce_delete(presence, roster_room_name(room), saying->before,
                        roster_user_id(user, scratch));
}

static void say_all_of(void *arg, const struct roster_user *user)
{
    const struct saying *saying = arg;
    say_anew(saying, user, NULL);
    for (const struct roster_seat *seat = user->seats; seat != NULL; seat = seat->next)
        say_anew(saying, user, seat);
    if (roster_is_named(user))
        announce_note(saying->presence, user, true);
}

static void refresh(struct presence *presence, uint64_t now_ms)
{
    char key[KEY_MAX];
    size_t at = 0;
    presence->refresh_ms = now_ms + REFRESH_MS;
    for (const struct roster_room *room; (room = map_next(&presence->roster.rooms, &at)) != NULL;)
        keep_alive(presence, join(key, PRESENCE_KEY, roster_room_name(room)));
}

static void set_lease(struct presence *presence, bool renew,
                      void (*then)(struct presence *presence, void *arg, const struct ask *ask))
{
    char key[KEY_MAX], life[16];
    snprintf(life, sizeof life, "%d", PRESENCE_LEASE_MS);
    const struct slice words[] = {slice_str("SET"),
                                  join(key, LEASE_KEY, lease_id(presence->self)),
                                  slice_str(presence->opts.pod_id),
                                  slice_str("PX"),
                                  slice_str(life),
                                  slice_str("XX")};
    presence_command(presence, words, renew ? 6 : 5, then, NULL);
}

/*
 * All is said under a new lease: what Redis and others still have of the old one may be out of
 * date, is cleaned up by whoever finds the old lease over, and that never hits what is said now.
 */
static void begin_lease(struct presence *presence)
{
    const struct lease before = *presence->self;
    struct saying saying = {.presence = presence};
    if (presence->is_written) {
        leases_advance(&presence->leases, presence->self);
        saying.before = &before;
    }
    presence->is_written = true;
    set_lease(presence, false, NULL);
    roster_each(&presence->roster, say_all_of, &saying);
    refresh(presence, loop_now_ms(presence->loop));
}

static void end_lease(struct presence *presence)
{
    char key[KEY_MAX];
    const struct slice words[] = {slice_str("DEL"), join(key, LEASE_KEY, lease_id(presence->self))};
    bus_command(presence->bus, words, 2, NULL, NULL);
}

/* Be it that it was over or that Redis was emptied: the other pods' leases may be gone likewise, so
 * they have their time to come back, too. */
void announce_lease_lost(struct presence *presence)
{
    log_warn("presence:lease_lost", log_str("reason", "Redis does not have it any more"));
    begin_lease(presence);
    load_all(presence, loop_now_ms(presence->loop));
}

static void on_renewed(struct presence *presence, void *arg, const struct ask *ask)
{
    (void)arg;
    /* Failed: commands are not taken any more, or Redis refuses; the next time again. */
    if (!ask->failed && presence->store_is_up && ask->texts[0].ptr == NULL)
        announce_lease_lost(presence);
}

static void renew(struct presence *presence, uint64_t now_ms)
{
    presence->renew_ms = now_ms + PRESENCE_RENEW_MS;
    set_lease(presence, true, on_renewed);
}

static void drop_dirty(struct presence *presence)
{
    for (struct list_link *link; (link = list_pop_front(&presence->dirty)) != NULL;) {
        struct roster_room *room = LIST_ENTRY(link, struct roster_room, dirty);
        buf_clear(&room->pending);
        if (room != presence->global)
            roster_forget_room(&presence->roster, room);
    }
}

/* Told `taken` again while it is up, something was lost: all is said anew. */
void announce_commands(struct presence *presence, bool taken)
{
    uint64_t now_ms = loop_now_ms(presence->loop);
    presence->store_is_up = taken && !presence->is_closing;
    presence->renew_ms = presence->refresh_ms = UINT64_MAX;
    drop_dirty(presence);
    if (!presence->store_is_up)
        return;
    if (presence->is_written)
        end_lease(presence);
    begin_lease(presence);
    presence->renew_ms = now_ms + PRESENCE_RENEW_MS;
    load_all(presence, now_ms);
}

static void take_back_from(struct presence *presence, const struct roster_user *user,
                           const struct roster_seat *seat)
{
    char scratch[UUID_TEXT_LEN];
    struct record record = roster_farewell(user, seat);
    record.rev = ++presence->rev;
    write_word(presence, seat != NULL ? seat->room : presence->global,
               roster_user_id(user, scratch), &record);
}

static void take_back(void *arg, const struct roster_user *user)
{
    take_back_from(arg, user, NULL);
    for (const struct roster_seat *seat = user->seats; seat != NULL; seat = seat->next)
        take_back_from(arg, user, seat);
}

void announce_leave(struct presence *presence)
{
    presence->is_closing = true;
    if (!presence->store_is_up)
        return;
    roster_each(&presence->roster, take_back, presence);
    flush_dirty(presence);
    end_lease(presence);
    presence->store_is_up = false;
}

/* --- the turn --- */

void announce_turn(struct presence *presence, uint64_t now_ms)
{
    flush_dirty(presence);
    if (now_ms >= presence->renew_ms)
        renew(presence, now_ms);
    if (now_ms >= presence->refresh_ms)
        refresh(presence, now_ms);
}

uint64_t announce_next_ms(const struct presence *presence)
{
    return presence->renew_ms < presence->refresh_ms ? presence->renew_ms : presence->refresh_ms;
}
