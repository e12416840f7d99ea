#pragma once

/*
 * A question to all pods whose answers an HTTP request waits for.
 *
 *     gather_start ─▶ the request sleeps ─▶ answers come ─▶ all are here, or BUS_AWAIT_MS are over
 *                                                           ─▶ it goes on
 *
 * How many answers there will be is known when Redis has said how many pods there are.
 *
 * Threads: init, fini: main. start: libmicrohttpd's. The others: the bus thread. What was gathered
 * is the bus thread's until the request goes on.
 * Owns: nothing; a gather is its request's.
 */

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/lock.h"
#include "core/bus/bus.h"
#include "handlers/room_list.h"

struct gather;

struct gathers {
    struct bus *bus;
    struct lock lock;
    struct list open GUARDED_BY(lock); /* struct gather */
    uint64_t last_number GUARDED_BY(lock);
};

struct gather {
    struct list_link link; /* in the open ones */
    struct gathers *gathers;
    struct bus_waiter waiter;
    struct MHD_Connection *connection; /* that sleeps */
    uint64_t number;                   /* what its answers refer to */
    size_t pods;    /* that the question reached, this one included; 0: unknown */
    size_t answers; /* that came */
    struct room_list rooms;
};

void gathers_init(struct gathers *gathers);
void gathers_fini(struct gathers *gathers);

/* Gives it a number and lets the request sleep. The question is to be told after that, with the
 * number as bus_tell's `ask`. */
void gather_start(struct gathers *gathers, struct gather *gather,
                  struct MHD_Connection *connection);

/* The questions up to this number are with so many pods. */
void gathers_note_reach(struct gathers *gathers, uint64_t number, size_t pods);

/* An answer to it: rooms as another pod told them (room_list_append). */
void gathers_take(struct gathers *gathers, uint64_t number, struct slice rooms);

/* Whether every pod that was reached has answered. */
bool gather_is_complete(const struct gather *gather);
