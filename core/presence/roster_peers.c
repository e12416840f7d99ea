/*
 * What other pods say of the users here: who has clients there, too, whether those are silent, what
 * status was chosen there.
 */
#include "core/base/mem.h"
#include "core/presence/roster_inside.h"

static void remove_peer(struct roster *roster, struct peer **at)
{
    struct peer *peer = *at;
    *at = peer->next;
    leases_put(roster->opts.leases, peer->lease);
    mem_free(peer);
}

void roster_drop_peers(struct roster *roster, struct profile *profile)
{
    while (profile->peers != NULL)
        remove_peer(roster, &profile->peers);
}

static struct peer **find_peer(struct profile *profile, const struct lease *lease)
{
    struct peer **at = &profile->peers;
    while (*at != NULL && (*at)->lease != lease)
        at = &(*at)->next;
    return at;
}

/* What the pod said under leases before does not count beside what it says now. */
static void supersede_peers(struct roster *roster, struct profile *profile,
                            const struct lease *lease)
{
    for (struct peer **at = &profile->peers; *at != NULL;)
        if (lease_is_followed_by((*at)->lease, lease))
            remove_peer(roster, at);
        else
            at = &(*at)->next;
}

static void set_peer(struct roster *roster, struct profile *profile, struct lease *lease,
                     const struct note *note)
{
    supersede_peers(roster, profile, lease);
    struct peer **at = find_peer(profile, lease), *peer = *at;
    if (note->gone && peer != NULL) {
        remove_peer(roster, at);
    } else if (!note->gone && peer == NULL) {
        peer = mem_zalloc(sizeof *peer);
        *peer = (struct peer){.lease = lease_retain(lease), .idle = note->idle};
        *at = peer;
    } else if (!note->gone) {
        peer->idle = note->idle;
    }
}

void roster_take_note(struct roster *roster, struct slice id, struct lease *lease,
                      const struct note *note, struct roster_time time)
{
    struct profile *profile = map_get(&roster->named, id);
    if (profile == NULL)
        return;
    set_peer(roster, profile, lease, note);
    if (note->stamp_ms > profile->chosen_ms)
        roster_set_status(roster, profile, note->status, note->text, note->stamp_ms);
    else
        roster_review(roster, profile, time);
    if (note->ask)
        roster_say_note(roster, &profile->is, false);
}

void roster_drop_lease(struct roster *roster, const struct lease *lease, struct roster_time time)
{
    size_t at = 0;
    for (struct profile *profile; (profile = map_next(&roster->named, &at)) != NULL;) {
        struct peer **peer_at = find_peer(profile, lease);
        if (*peer_at == NULL)
            continue;
        remove_peer(roster, peer_at);
        roster_review(roster, profile, time);
    }
}

void roster_ask(struct roster *roster, struct slice room)
{
    static const char prefix[] = "user:";
    if (!slice_starts_with(room, slice_str(prefix)))
        return;
    const struct profile *profile = map_get(&roster->named, slice_skip(room, sizeof prefix - 1));
    if (profile != NULL)
        roster_say_note(roster, &profile->is, true);
}
