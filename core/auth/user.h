#pragma once

/*
 * Who a token says that somebody is, and what that user may do: its claims as they were checked.
 * Immutable and counted; a client holds one, which a new token replaces.
 *
 * Where a user is asked for, NULL is somebody without a token, while authentication is off: that
 * one may do everything but enter the rooms of single users (`user:…`).
 *
 * Threads: any.
 * Owns: its texts and grants, one allocation with it.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

enum {
    USER_ID_MAX = 123, /* "user:" and it are a room's name */
    USER_NAME_MAX = 64,
    USER_GRANTS_MAX = 100,
    USER_PATTERN_MAX = 256,
    USER_LEEWAY_MS = 30 * 1000, /* clocks of different machines differ */
};

/* Where each user's own messages come. */
#define USER_ROOM_PREFIX "user:"

enum user_right { USER_JOIN = 1, USER_PUBLISH = 2 };

enum user_scope { USER_SCOPE_PUBLISH = 1, USER_SCOPE_ADMIN = 2 };

/* One entry of the claim `rooms`. */
struct grant {
    struct slice pattern; /* for glob_matches */
    unsigned can;         /* enum user_right, added up */
};

struct user {
    atomic_uint refs;
    unsigned scopes;     /* enum user_scope, added up */
    uint64_t expires_ms; /* by the wall clock (clock_wall_ms), without leeway */
    struct slice id;     /* the subject */
    struct slice name;   /* to show; ptr NULL: none */
    bool has_grants;     /* there is a claim `rooms`: only what it allows */
    size_t grants_count;
    const struct grant *grants;
};

/* A copy of all of `from`, with one count for the caller. NULL without memory. */
MUST_USE struct user *user_try_create(const struct user *from);
struct user *user_retain(struct user *user);
/* Takes NULL. */
void user_release(struct user *user);

/* What the service's own messages are from: nobody is called so. */
#define USER_SERVICE_ID "server"

/* Names the rule that a user's id breaks (that of rooms' names, shorter); NULL when none. */
const char *user_check_id(struct slice id);

/* How long the user's token is still good at this moment, leeway included. */
uint64_t user_time_left_ms(const struct user *user, uint64_t wall_ms);

/* Whether the user may enter the room. */
bool user_may_join(const struct user *user, struct slice room);

/* Whether the user may publish to the room; ptr NULL: to everybody, which a user with grants may
 * when one of them is for rooms of every name. */
bool user_may_publish(const struct user *user, struct slice room);

static inline bool user_has_scope(const struct user *user, enum user_scope scope)
{
    return user != NULL && (user->scopes & scope) != 0;
}
