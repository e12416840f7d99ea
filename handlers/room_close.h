#pragma once

/*
 * A room is closed by the operator: its members on this pod are told, and put out of it.
 *
 * Threads: any that has tools of its own.
 */

#include "core/base/slice.h"
#include "handlers/publish.h"

struct service;

void room_close(struct service *service, struct slice name, const struct publish_tools *tools);
