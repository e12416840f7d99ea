#pragma once

/*
 * How often users may do things (EVENTS: limits): a table of buckets for each class, shared with
 * the other pods.
 *
 *     limits_take ─▶ bucket ─▶ what was taken ─▶ report ─▶ all other pods ─▶ limits_take_report
 *
 * Each pod decides by its own buckets, at once, and then tells the others what it let pass: one
 * report is on its way at a time, and what is taken meanwhile goes into the next. So pods that get
 * a flood in the same moment together let more pass than one would, until they have heard of each
 * other; the buckets then lack that much, and over the limit's time it is even again. While Redis
 * is away each pod is by itself.
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
 * take. */
void limits_use_bus(struct limits *limits, struct bus *bus);

/*
 * Whose bucket it is: the user's; without one (NULL), the address'; those of whom neither is known
 * share one. The key stands in `out`.
 */
struct slice limits_key(const struct user *user, const struct address *address,
                        char out[LIMITER_KEY_MAX]);

/* Whether it may be done once more, which then counts. False: `refused` says what to tell. */
bool limits_take(struct limits *limits, unsigned class, struct slice key, uint64_t now_ns,
                 struct limited *refused);

/* How often that was false. */
uint64_t limits_refused_total(const struct limits *limits, unsigned class);

/* bus_opts.on_commands. */
void limits_on_commands(struct limits *limits, bool taken);

/* What another pod let pass: {"messages":{"uanna":2},"connects":{"a7f000001":1}}. */
void limits_take_report(struct limits *limits, struct slice spent);
