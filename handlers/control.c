#include "handlers/control.h"

#include <string.h>

#include "core/base/blob.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/bus/bus.h"
#include "core/chat/eviction.h"
#include "core/chat/json_read.h"
#include "core/chat/message.h"
#include "handlers/gather.h"
#include "handlers/limits.h"
#include "handlers/room_close.h"
#include "handlers/service.h"

enum { OP_MAX = 32, TEXT_MAX = ROOM_NAME_MAX, DIGITS_MAX = 18, DEPTH_MAX = 3 };

struct control {
    struct service *service;
    struct gathers gathers;
    /* The bus thread's. */
    struct compressor compressor;
    struct buf scratch;
};

/* A short text of a message; longer ones are none that a pod of this version writes. */
struct text {
    bool given;
    size_t len; /* bytes */
    char bytes[TEXT_MAX];
};

struct words {
    struct text op, room, user, prefix, after, reason;
    uint64_t ask, limit, code;
    struct slice rooms, spent; /* JSON; ptr NULL: absent */
};

static struct slice text_slice(const struct text *text)
{
    return slice_of(text->bytes, text->len);
}

struct control *control_create(struct service *service)
{
    struct control *control = mem_zalloc(sizeof *control);
    control->service = service;
    gathers_init(&control->gathers);
    compressor_init(&control->compressor);
    buf_init(&control->scratch, BUS_CONTROL_MAX);
    return control;
}

void control_destroy(struct control *control)
{
    if (control == NULL)
        return;
    buf_fini(&control->scratch);
    compressor_fini(&control->compressor);
    gathers_fini(&control->gathers);
    mem_free(control);
}

void control_use_bus(struct control *control)
{
    control->gathers.bus = control->service->bus;
}

struct gathers *control_gathers(struct control *control)
{
    return &control->gathers;
}

/* --- telling --- */

/* `pod` ptr NULL: all others. Without memory nothing is told, as when Redis loses it. */
static void tell(struct control *control, struct slice pod, const struct buf *json, uint64_t ask)
{
    struct bus *bus = control->service->bus;
    struct blob *blob = json->err == ERR_OK ? blob_try_create(json->len) : NULL;
    if (blob == NULL || bus == NULL) {
        blob_release(blob);
        return;
    }
    memcpy(blob->bytes, json->ptr, json->len);
    bus_tell(bus, pod, blob, ask);
    blob_release(blob);
}

static void append_text(struct buf *json, const char *name, struct slice text)
{
    buf_printf(json, ",\"%s\":", name);
    json_append_string(json, text);
}

void control_ask_rooms(struct control *control, const struct gather *gather,
                       const struct room_query *query)
{
    struct buf json;
    buf_init(&json, BUS_CONTROL_MAX);
    buf_printf(&json, "{\"op\":\"rooms\",\"ask\":%llu,\"limit\":%u",
               (unsigned long long)gather->number, query->limit);
    append_text(&json, "prefix", slice_of(query->prefix, query->prefix_len));
    if (query->has_after)
        append_text(&json, "after", slice_of(query->after, query->after_len));
    buf_append_char(&json, '}');
    tell(control, SLICE_NONE, &json, gather->number);
    buf_fini(&json);
}

void control_tell_close(struct control *control, struct slice room)
{
    struct buf json;
    buf_init(&json, BUS_CONTROL_MAX);
    buf_append_str(&json, "{\"op\":\"room:close\"");
    append_text(&json, "room", room);
    buf_append_char(&json, '}');
    tell(control, SLICE_NONE, &json, 0);
    buf_fini(&json);
}

void control_tell_disconnect(struct control *control, struct slice user,
                             const struct eviction *eviction)
{
    struct buf json;
    buf_init(&json, BUS_CONTROL_MAX);
    buf_printf(&json, "{\"op\":\"user:disconnect\",\"code\":%u", eviction->code);
    append_text(&json, "user", user);
    append_text(&json, "reason", eviction->reason);
    buf_append_char(&json, '}');
    tell(control, SLICE_NONE, &json, 0);
    buf_fini(&json);
}

/* --- what others say --- */

static void answer_rooms(struct control *control, struct slice pod, const struct words *words)
{
    struct room_query query = {.limit = (unsigned)words->limit,
                               .has_after = words->after.given,
                               .prefix_len = words->prefix.len,
                               .after_len = words->after.len};
    struct room_list list;
    struct buf *json = &control->scratch;
    if (words->limit == 0 || words->limit > ROOM_LIST_MAX)
        return;
    memcpy(query.prefix, words->prefix.bytes, words->prefix.len);
    memcpy(query.after, words->after.bytes, words->after.len);
    room_list_init(&list);
    if (room_list_add_own(&list, control->service->hub, &query) == ERR_OK) {
        buf_clear(json);
        buf_printf(json,
                   "{\"op\":\"rooms:are\",\"ask\":%llu,\"rooms\":", (unsigned long long)words->ask);
        room_list_append(json, &list);
        buf_append_char(json, '}');
        tell(control, pod, json, 0);
    }
    room_list_fini(&list);
}

static void take_rooms(struct control *control, struct slice pod, const struct words *words)
{
    (void)pod;
    if (words->rooms.ptr != NULL)
        gathers_take(&control->gathers, words->ask, words->rooms);
}

static void close_room(struct control *control, struct slice pod, const struct words *words)
{
    struct publish_tools tools = {.compressor = &control->compressor, .scratch = &control->scratch};
    (void)pod;
    if (room_check_name(text_slice(&words->room)).code == FAULT_NONE)
        room_close(control->service, text_slice(&words->room), &tools);
}

static void disconnect_user(struct control *control, struct slice pod, const struct words *words)
{
    const struct eviction eviction = {.code = (unsigned)words->code,
                                      .reason = text_slice(&words->reason)};
    (void)pod;
    if (words->code >= EVICTION_CODE_MIN && words->code <= EVICTION_CODE_MAX)
        eviction_of_user(control->service->hub, text_slice(&words->user), &eviction);
}

static void take_spent(struct control *control, struct slice pod, const struct words *words)
{
    (void)pod;
    if (control->service->limits != NULL && words->spent.ptr != NULL)
        limits_take_report(control->service->limits, words->spent);
}

static const struct {
    const char *op;
    void (*act)(struct control *control, struct slice pod, const struct words *words);
} acts[] = {
    {"limits:spent", take_spent},
    {"rooms", answer_rooms},
    {"rooms:are", take_rooms},
    {"room:close", close_room},
    {"user:disconnect", disconnect_user},
};

static void keep_text(struct text *text, const struct json_value *value)
{
    if (value->kind != JSON_IS_STRING || value->text.len > sizeof text->bytes)
        return;
    text->given = true;
    text->len = value->text.len;
    memcpy(text->bytes, value->text.ptr, value->text.len);
}

static void keep_number(uint64_t *number, const struct json_value *value)
{
    *number = 0;
    if (value->kind != JSON_IS_NUMBER || value->raw.len > DIGITS_MAX)
        return;
    for (size_t i = 0; i < value->raw.len; i++) {
        if (value->raw.ptr[i] < '0' || value->raw.ptr[i] > '9') {
            *number = 0;
            return;
        }
        *number = *number * 10 + (uint64_t)(value->raw.ptr[i] - '0');
    }
}

static void take_word(void *arg, struct slice name, const struct json_value *value)
{
    struct words *words = arg;
    struct {
        const char *name;
        struct text *text;
        uint64_t *number;
    } rows[] = {
        {"op", &words->op, NULL},       {"room", &words->room, NULL},
        {"user", &words->user, NULL},   {"prefix", &words->prefix, NULL},
        {"after", &words->after, NULL}, {"reason", &words->reason, NULL},
        {"ask", NULL, &words->ask},     {"limit", NULL, &words->limit},
        {"code", NULL, &words->code},
    };
    if (slice_equals_str(name, "rooms"))
        words->rooms = value->raw;
    if (slice_equals_str(name, "spent"))
        words->spent = value->raw;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!slice_equals_str(name, rows[i].name))
            continue;
        if (rows[i].text != NULL)
            keep_text(rows[i].text, value);
        else
            keep_number(rows[i].number, value);
    }
}

void control_from_bus(void *arg, struct slice pod, struct slice payload)
{
    struct control *control = arg;
    struct words words = {.rooms = SLICE_NONE, .spent = SLICE_NONE};
    enum json_kind kind;
    if (json_read(payload, DEPTH_MAX, take_word, &words, &kind) != JSON_OK ||
        kind != JSON_IS_OBJECT) {
        log_warn("redis:invalid_control", log_text("pod", pod));
        return;
    }
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (slice_equals_str(text_slice(&words.op), acts[i].op))
            acts[i].act(control, pod, &words);
}

void control_reached(void *arg, uint64_t ask, size_t pods)
{
    struct control *control = arg;
    gathers_note_reach(&control->gathers, ask, pods);
}
