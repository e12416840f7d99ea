#pragma once

/*
 * What the parts of the roster know of each other: roster.c (clients, users, status),
 * roster_peers.c (what other pods say of the users here). Nobody else includes this.
 *
 * Threads: the presence thread.
 */

#include "core/presence/roster.h"

struct tab {
    struct presence_client client;
    struct tab *next;
    struct profile *profile;
};

/* A pod where the user has clients, too. */
struct peer {
    struct peer *next;
    struct lease *lease;
    bool idle;
};

struct profile {
    struct roster_user *user; /* whose it is; of a named one, what follows */
    struct roster_user is;    /* a named user's */
    char *text;               /* NULL: none */
    uint64_t chosen_ms;       /* wall clock, when the status was chosen; 0: never */
    uint64_t stamp_ms;        /* when it changed last */
    enum presence_status chosen;
    enum presence_status shown; /* a named user's, as it was said last */

    /* A named user's. */
    struct list_link lingering;
    uint64_t until_ms; /* lingers so long */
    uint64_t since_ms;
    struct tab *tabs;
    uint32_t tabs_count;
    struct peer *peers;
    char *name; /* NULL: none */
    bool idle;
    unsigned id_len;
    char id[];
};

/* The user's clients are silent, or not, or its status is another one: says what is new of that. */
void roster_review(const struct roster *roster, struct profile *profile, struct roster_time time);
/* Tells the user's pods; `ask`: and has them tell theirs. */
void roster_say_note(const struct roster *roster, const struct roster_user *user, bool ask);
/* The user chose it at this moment (wall clock), here or on another pod. */
void roster_set_status(struct roster *roster, struct profile *profile, enum presence_status status,
                       struct slice text, uint64_t stamp_ms);
/* Forgets on what other pods the user is. */
void roster_drop_peers(struct roster *roster, struct profile *profile);
