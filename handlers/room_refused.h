#pragma once

/*
 * A room that Redis refuses to this pod: the rights of its Redis user do not reach so far. Who asks
 * for the room is not let in; who is in it already hears only what is said on this pod, and is told
 * so.
 *
 * Threads: room_refused: any that has tools of its own.
 */

#include "core/base/err.h"
#include "core/base/slice.h"
#include "handlers/publish.h"

struct service;

/* What they are told. */
extern const struct fault room_refused_fault;

/* bus_opts.on_refused, of this pod. */
void room_refused(struct service *service, struct slice name, const struct publish_tools *tools);
