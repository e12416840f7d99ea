#pragma once

/*
 * Who waits for a room's subscription, or for bus_let_go, in the order of the deadlines: all wait
 * equally long, so the order of arrival is that.
 *
 * Threads: the bus thread.
 * Owns: nothing; a waiter is its caller's again once done is called.
 */

#include <stdint.h>

#include "core/base/list.h"
#include "core/bus/interest.h"

struct waiters {
    struct list list; /* struct bus_waiter */
};

void waiters_init(struct waiters *waiters);

/* Takes those that arrived, and lets the ready ones of them go. */
void waiters_admit(struct waiters *waiters, struct list *arrived, const struct interest *interest);

/* Lets those go whose rooms stand, are refused, or are wanted no more. */
void waiters_serve(struct waiters *waiters, const struct interest *interest);
void waiters_expire(struct waiters *waiters, uint64_t now_ms);
void waiters_release_all(struct waiters *waiters);

/* When the next one expires; UINT64_MAX for never. */
uint64_t waiters_next_ms(const struct waiters *waiters);
