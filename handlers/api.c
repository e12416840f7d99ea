#include "handlers/api.h"

#include <stdatomic.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "handlers/request.h"
#include "handlers/routes.h"
#include "handlers/service.h"

enum { REPLAY_KEY_MAX = 128 };

struct api *api_create(const struct api_opts *opts)
{
    struct api *api = mem_zalloc(sizeof *api);
    struct slice key = slice_str(opts->key);
    api->service = opts->service;
    api->has_key = opts->key != NULL;
    if (api->has_key)
        api->key = digest_of(&key, 1);
    targets_init(&api->targets);
    compressor_init(&api->compressor);
    buf_init(&api->scratch, SIZE_MAX / 2);
    replays_init(&api->replays);
    return api;
}

void api_destroy(struct api *api)
{
    if (api == NULL)
        return;
    replays_fini(&api->replays);
    buf_fini(&api->scratch);
    compressor_fini(&api->compressor);
    targets_fini(&api->targets);
    mem_free(api);
}

bool api_key_matches(const struct api *api, struct slice credentials, struct digest *whose)
{
    *whose = digest_of(&credentials, 1);
    return api->has_key && digest_equals(whose, &api->key);
}

struct refusal api_refuse(unsigned status, struct fault fault)
{
    return (struct refusal){.status = fault.code == FAULT_INTERNAL ? MHD_HTTP_INTERNAL_SERVER_ERROR
                                                                   : status,
                            .fault = fault};
}

struct refusal api_decode_room(const struct request *request, char *bytes, struct slice *name)
{
    size_t len = 0;
    enum err err = request_decode(request->rest, bytes, ROOM_NAME_MAX, &len);
    struct fault fault = {.code = FAULT_CHANNEL_ERROR,
                          .message = "a room's name has a broken percent-encoding"};
    *name = slice_of(bytes, len);
    if (err == ERR_FULL) /* what is too long for the buffer is too long for a room */
        fault = room_check_name(slice_of("", ROOM_NAME_MAX + 1));
    else if (err == ERR_OK)
        fault = room_check_name(*name);
    fault.field = "room";
    if (fault.code == FAULT_NONE)
        return (struct refusal){0};
    return api_refuse(MHD_HTTP_BAD_REQUEST, fault);
}

/* --- a POST --- */

struct refusal api_check_service(const struct request *request)
{
    if (!atomic_load(&request->service->draining))
        return (struct refusal){0};
    return (struct refusal){
        .status = MHD_HTTP_SERVICE_UNAVAILABLE,
        .fault = {.code = FAULT_UNAVAILABLE, .message = "the server is shutting down"},
        .headers = {{MHD_HTTP_HEADER_RETRY_AFTER, "5"}}};
}

static struct refusal check_text(struct slice body)
{
    struct fault fault = {.code = FAULT_INVALID_PAYLOAD, .message = "a body must be UTF-8"};
    if (utf8_is_valid(body.ptr, body.len))
        return (struct refusal){0};
    return api_refuse(MHD_HTTP_BAD_REQUEST, fault);
}

/* Under what an answer is remembered; a key counts for its sender and its path. */
struct replay_names {
    bool wanted;
    struct digest key, request;
};

static struct refusal name_replay(const struct request *request, struct slice body,
                                  struct replay_names *names)
{
    struct buf scratch;
    struct refusal refusal = {0};
    buf_init(&scratch, REQUEST_BODY_MAX);
    struct slice key = request_header(request, "Idempotency-Key", &scratch);
    names->wanted = key.ptr != NULL;
    if (!names->wanted && scratch.err != ERR_OK) {
        /* There is one, which cannot be read: without it a repetition would act once more. */
        struct fault fault = {.code = FAULT_UNAVAILABLE,
                              .message = "no memory for Idempotency-Key"};
        refusal = api_refuse(MHD_HTTP_SERVICE_UNAVAILABLE, fault);
    } else if (names->wanted && (key.len == 0 || key.len > REPLAY_KEY_MAX)) {
        struct fault fault = {.code = FAULT_INVALID_PAYLOAD,
                              .message = "Idempotency-Key has 1 to 128 bytes",
                              .field = "Idempotency-Key"};
        refusal = api_refuse(MHD_HTTP_BAD_REQUEST, fault);
    } else if (names->wanted) {
        const struct digest *whose = &request->credentials;
        const struct slice key_parts[] = {slice_of(whose->bytes, sizeof whose->bytes),
                                          slice_str(request->path), key};
        names->key = digest_of(key_parts, sizeof key_parts / sizeof *key_parts);
        names->request = digest_of(&body, 1);
    }
    buf_fini(&scratch);
    return refusal;
}

static enum MHD_Result answer_202(struct request *request, struct buf *answer)
{
    return reply_text(request->connection, MHD_HTTP_ACCEPTED, "application/json", answer);
}

static struct refusal key_is_taken(void)
{
    struct fault fault = {.code = FAULT_INVALID_PAYLOAD,
                          .message = "this Idempotency-Key was used with another body",
                          .field = "Idempotency-Key"};
    return api_refuse(MHD_HTTP_CONFLICT, fault);
}

static struct refusal act_once(struct request *request, api_act *act, struct slice body,
                               struct buf *answer)
{
    struct api *api = request->service->api;
    struct replay_names names;
    struct slice first = SLICE_NONE;
    enum replay replay = REPLAY_NEW;
    uint64_t now_ms = clock_monotonic_ms();
    struct refusal refusal = name_replay(request, body, &names);
    if (refusal.status == 0 && names.wanted)
        replay = replays_find(&api->replays, &names.key, &names.request, now_ms, &first);
    if (replay == REPLAY_OTHER)
        refusal = key_is_taken();
    if (refusal.status != 0)
        return refusal;
    if (replay == REPLAY_SAME) {
        api->counts.replayed++;
        buf_append_slice(answer, first);
        return (struct refusal){0};
    }
    refusal = act(request, body, answer);
    /* What was refused did nothing, so it may be tried again with another body. */
    if (refusal.status == 0 && names.wanted && answer->err == ERR_OK)
        replays_add(&api->replays, &names.key, &names.request, now_ms, buf_slice(answer));
    return refusal;
}

enum MHD_Result api_post(struct request *request, api_act *act)
{
    struct buf answer;
    const struct buf *bytes = &request->body.bytes;
    struct slice body = bytes->len != 0 ? buf_slice(bytes) : slice_str("");
    buf_init(&answer, API_ANSWER_MAX);
    struct refusal refusal = api_check_service(request);
    if (refusal.status == 0)
        refusal = check_text(body);
    if (refusal.status == 0)
        refusal = act_once(request, act, body, &answer);
    if (refusal.status == 0)
        return answer_202(request, &answer);
    buf_fini(&answer);
    return reply_refusal(request->connection, &refusal);
}
