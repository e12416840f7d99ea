#pragma once

/*
 * How often users may do things (EVENTS: limits): a table of buckets for each class, shared with
 * the other pods.
 *
 *     limits_take ─▶ bucket ─▶ what was taken ─▶ report ─▶ all other pods ─▶ limits_take_report
 *
 * Each pod decides by its own buckets, at once, and then tells the others what it let pass: one
 * report is on its way at a time, and what is taken meanwhile goes into the next. Who takes so much
 * in a moment that the pods together might give more than there is has to pause until the others
 * have heard of it, some milliseconds. What is given too much all the same is lacking afterwards:
 * over the limit's time it is even. While Redis is away each pod is by itself.
 *
 * Threads: create, use_bus, destroy: main. limits_on_commands, limits_take_report: the bus thread.
 * The others: any.
 * Owns: the buckets.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/limit/limit.h"
#include "core/limit/limiter.h"
#include "handlers/events.h"
#include "handlers/limited.h"

struct address;
struct bus;
struct limits;
struct user;

/* The classes of events (EVENT_UNLIMITED has no limit), and upgrades. */
enum { LIMITS_CONNECTS = EVENT_CLASSES, LIMITS_CLASSES };

enum { LIMITS_KEYS_MAX = 100000 /* users and addresses of each class: 25 MB */ };

/* As in the data of RATE_LIMITED; NULL for EVENT_UNLIMITED. */
const char *limits_class_name(unsigned class);

/* A limit that is off, or zero, is none. */
struct limits *limits_create(const struct limit limits[LIMITS_CLASSES]);
/* Takes NULL. The bus is stopped. */
void limits_destroy(struct limits *limits);

/* Shares the buckets from now on: once the bus is made, before it starts and before the first
 * take. Unless users sign in, each is one connection of this pod, and only upgrades, by address,
 * concern the others. */
void limits_use_bus(struct limits *limits, struct bus *bus, bool users_sign_in);

/*
 * Whose bucket it is: the user's of that id; without one (ptr NULL), the address'; those of whom
 * neither is known share one. The key stands in `out`.
 */
struct slice limits_key(struct slice user, const struct address *address,
                        char out[LIMITER_KEY_MAX]);

struct limits_answer {
    struct limited refused; /* what to tell, when it may not be done */
    uint64_t pause_ms;      /* when it may: how long nothing more should be taken from who did it */
};

/* Whether it may be done once more, which then counts. */
bool limits_take(struct limits *limits, unsigned class, struct slice key, uint64_t now_ns,
                 struct limits_answer *answer);

/* How often that was false. */
uint64_t limits_refused_total(const struct limits *limits, unsigned class);

/* bus_opts.on_commands. */
void limits_on_commands(struct limits *limits, bool taken);

/* What another pod let pass: {"messages":{"uanna":2},"connects":{"a7f000001":1}}. */
void limits_take_report(struct limits *limits, struct slice spent);
