#pragma once

/*
 * An error that concerns all members of a room: an envelope of the room, so that they see which one
 * it is. On this pod only.
 *
 * Threads: any that has tools of its own.
 */

#include "core/base/err.h"
#include "handlers/publish.h"

struct hub;
struct room;

/* Without memory nobody is told. */
void room_notice_fault(struct hub *hub, struct room *room, const struct fault *fault,
                       const struct publish_tools *tools);
