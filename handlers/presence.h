#pragma once

/*
 * What joins presence with hub and clients: who comes and goes is told to it, what it has to say is
 * given to events clients.
 *
 * Threads: as each function says.
 */

#include <stdbool.h>

#include "core/base/slice.h"

struct client;
struct presence_tell;
struct presence_voice;
struct service;

/* What the presence thread needs of its own. Made before it starts, destroyed after it stopped. */
struct presence_voice *presence_voice_create(struct service *service);
/* Takes NULL. */
void presence_voice_destroy(struct presence_voice *voice);

/* presence_opts.tell and .watch; `arg` is the voice. The presence thread. */
void presence_voice_tell(void *arg, const struct presence_tell *tell);
void presence_voice_watch(void *arg, struct slice group, bool wanted);

/* hub_opts.on_member. The client's loop. */
void presence_on_member(struct service *service, struct client *client, struct slice room,
                        bool joined);
/* The client sent a message. Its loop. */
void presence_on_activity(struct service *service, struct client *client);
