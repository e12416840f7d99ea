#pragma once

/*
 * What the pods say to each other through Redis, each a JSON object behind its pod's name:
 *
 *     {"op":"rooms","ask":7,"prefix":"a","after":"ab","limit":101}   to all: which rooms have you?
 *     {"op":"rooms:are","ask":7,"rooms":{"abc":2}}                   the answer, to who asked
 *     {"op":"room:close","room":"abc"}                               to all: your members leave
 *     {"op":"limits:spent","spent":{"messages":{"uada":2}}}          to all: so much I let pass
 *     {"op":"user:disconnect","user":"ada","code":4501,"reason":"…"} to all: close its clients
 *
 * What a pod does not know it lets pass, so that pods of two versions get along.
 *
 * Threads: create, destroy: main. control_from_bus, control_reached: the bus thread. The others:
 * libmicrohttpd's.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"

struct control;
struct eviction;
struct gather;
struct gathers;
struct room_query;
struct service;

struct control *control_create(struct service *service);
/* Takes NULL. The bus and HTTP are stopped. */
void control_destroy(struct control *control);

/* Once the bus is made, before it starts. */
void control_use_bus(struct control *control);

struct gathers *control_gathers(struct control *control);

/* bus_opts.on_control and on_reached; `arg` is the struct control. */
void control_from_bus(void *arg, struct slice pod, struct slice payload);
void control_reached(void *arg, uint64_t ask, size_t pods);

/* Ask and tell the other pods; nothing without Redis. */
void control_ask_rooms(struct control *control, const struct gather *gather,
                       const struct room_query *query);
void control_tell_close(struct control *control, struct slice room);
void control_tell_disconnect(struct control *control, struct slice user,
                             const struct eviction *eviction);
