#pragma once

/*
 * What the routes of the HTTP API have in common (EVENTS: publishing and managing over HTTP): the
 * key, the tools for publishing, the answers that are remembered, and the way of a POST.
 *
 *     head checked ─▶ body whole ─▶ api_post ─▶ remembered? ─▶ act ─▶ 202
 *
 * Threads: made and destroyed by main, used by libmicrohttpd's thread.
 */

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/digest.h"
#include "core/base/slice.h"
#include "core/chat/message.h"
#include "handlers/replay.h"
#include "handlers/reply.h"
#include "handlers/targets.h"

struct request;
struct service;

enum {
    API_KEY_STRONG = 16, /* bytes; a shorter one can be guessed */
    API_KEY_MAX = 512,
    API_ANSWER_MAX = 1024 * 1024,
    /* What one request may publish, counted once for each room and user: a body of 1 MiB could make
     * gigabytes of it. No more messages than the outbox takes while they flow. */
    API_PUBLICATIONS_MAX = 10000,
    API_PUBLISHED_BYTES_MAX = 64 * 1024 * 1024,
};

/* Messages that came through the API. */
struct api_counts {
    uint64_t accepted, rejected, replayed; /* requests, the last */
};

struct api {
    struct service *service;
    bool has_key;
    struct digest key; /* of API_KEY */
    struct targets targets;
    struct compressor compressor;
    struct buf scratch;
    struct replays replays;
    struct api_counts counts;
};

struct api_opts {
    struct service *service;
    const char *key; /* NULL: nobody comes in by one */
};

struct api *api_create(const struct api_opts *opts);
/* Takes NULL. HTTP is stopped. */
void api_destroy(struct api *api);

/* Whether these are the API key, compared in constant time; `whose` tells its owner from others. */
bool api_key_matches(const struct api *api, struct slice credentials, struct digest *whose);

/* Does what the body asks for and writes the answer, or says why not and has done nothing. */
typedef struct refusal api_act(struct request *request, struct slice body, struct buf *answer);

/* Answers a POST with 202 and what `act` wrote, or once more with the answer that was given under
 * the same Idempotency-Key. */
enum MHD_Result api_post(struct request *request, api_act *act);

/* Nothing is begun while the service stops: another pod does it. */
struct refusal api_check_service(const struct request *request);

/* The room of the path, decoded into `bytes` (ROOM_NAME_MAX). */
struct refusal api_decode_room(const struct request *request, char *bytes, struct slice *name);

/* A refusal of what a request says. */
struct refusal api_refuse(unsigned status, struct fault fault);
