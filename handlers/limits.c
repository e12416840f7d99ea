/*
 * Reports go by way of the commands (core/bus/commander.h): they are of no use later, so none of
 * them waits for a Redis that is away, and none is sent twice. What was not told by then is told
 * when Redis is back, less what has flowed back meanwhile.
 */
#include "handlers/limits.h"

#include <limits.h>
#include <stdatomic.h>

#include "core/auth/user.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/bus/bus.h"
#include "core/bus/log_pause.h"
#include "core/chat/json_read.h"
#include "core/limit/address.h"

enum {
    REPORT_MAX = 512, /* buckets in one report; the others go into the next */
    SPENT_DEPTH = 2,
    TOKENS_DIGITS_MAX = 9,
    PAUSE_MS_MIN = 4,
    PAUSE_MS_MAX = 100,
};

struct limits {
    struct limiter *limiters[LIMITS_CLASSES]; /* NULL: no limit */
    struct bus *bus;                          /* NULL: there are no other pods */
    atomic_bool commands_taken;
    atomic_bool reporting;       /* a report is being written or on its way */
    uint64_t report_began_ms;    /* of the reporter: who turned `reporting` on */
    atomic_uint_fast64_t way_ms; /* how long a report is on its way, of late */
    atomic_uint_fast64_t refused_total[LIMITS_CLASSES];
    struct log_pause refused_pause;
};

const char *limits_class_name(unsigned class)
{
    return class == LIMITS_CONNECTS ? "connects" : event_class_name((enum event_class) class);
}

struct limits *limits_create(const struct limit limits[LIMITS_CLASSES])
{
    struct limits *made = mem_zalloc(sizeof *made);
    for (unsigned class = 0; class < LIMITS_CLASSES; class ++)
        if (!limit_is_off(&limits[class]))
            made->limiters[class] = limiter_create(&limits[class], LIMITS_KEYS_MAX);
    return made;
}

void limits_destroy(struct limits *limits)
{
    if (limits == NULL)
        return;
    for (unsigned class = 0; class < LIMITS_CLASSES; class ++)
        limiter_destroy(limits->limiters[class]);
    mem_free(limits);
}

void limits_use_bus(struct limits *limits, struct bus *bus, bool users_sign_in)
{
    limits->bus = bus;
    for (unsigned class = 0; class < LIMITS_CLASSES; class ++)
        if (limits->limiters[class] != NULL && (users_sign_in || class == LIMITS_CONNECTS))
            limiter_share(limits->limiters[class]);
}

struct slice limits_key(struct slice user, const struct address *address, char out[LIMITER_KEY_MAX])
{
    static const char digits[] = "0123456789abcdef";
    struct slice bytes = address != NULL ? address_key(address) : SLICE_NONE;
    size_t len = 1;
    out[0] = user.ptr != NULL ? 'u' : 'a';
    if (user.ptr != NULL) {
        len += user.len;
        memcpy(out + 1, user.ptr, user.len);
    } else {
        for (size_t i = 0; i < bytes.len; i++) {
            out[len++] = digits[(unsigned char)bytes.ptr[i] >> 4];
            out[len++] = digits[(unsigned char)bytes.ptr[i] & 0xF];
        }
    }
    return slice_of(out, len);
}

/* --- telling the other pods --- */

static bool has_spending(const struct limits *limits)
{
    for (unsigned class = 0; class < LIMITS_CLASSES; class ++)
        if (limits->limiters[class] != NULL && limiter_has_spending(limits->limiters[class]))
            return true;
    return false;
}

/* Appends the members of one class' object; returns how many. */
static size_t append_spendings(struct buf *json, struct limiter *limiter, size_t max)
{
    struct limiter_spending spending;
    uint64_t now_ns = clock_monotonic_ns();
    size_t count = 0;
    while (count < max && limiter_next_spending(limiter, now_ns, &spending)) {
        if (count++ != 0)
            buf_append_char(json, ',');
        json_append_string(json, slice_of(spending.key, spending.key_len));
        buf_printf(json, ":%u", spending.tokens);
    }
    return count;
}

static size_t append_report(struct buf *json, struct limits *limits)
{
    size_t count = 0;
    const char *separator = "";
    buf_append_str(json, "{\"op\":\"limits:spent\",\"spent\":{");
    for (unsigned class = 0; class < LIMITS_CLASSES; class ++) {
        if (limits->limiters[class] == NULL)
            continue;
        buf_printf(json, "%s\"%s\":{", separator, limits_class_name(class));
        count += append_spendings(json, limits->limiters[class], REPORT_MAX - count);
        buf_append_char(json, '}');
        separator = ",";
    }
    buf_append_str(json, "}}");
    return count;
}

static void report(struct limits *limits);

/* A longer way is believed at once, a shorter one by and by. */
static void learn_way(struct limits *limits)
{
    uint64_t before_ms = atomic_load(&limits->way_ms);
    uint64_t now_ms = clock_monotonic_ms() - limits->report_began_ms;
    atomic_store(&limits->way_ms, now_ms > before_ms ? now_ms : (3 * before_ms + now_ms) / 4);
}

static void learn_sharers(struct limits *limits, long long pods)
{
    for (unsigned class = 0; class < LIMITS_CLASSES; class ++)
        if (limits->limiters[class] != NULL && pods > 0)
            limiter_set_sharers(limits->limiters[class], pods < UINT_MAX ? (unsigned)pods : 1);
}

static void on_reported(void *arg, const struct bus_reply *reply)
{
    struct limits *limits = arg;
    if (reply != NULL) {
        learn_way(limits);
        learn_sharers(limits, bus_reply_number(reply));
    }
    atomic_store(&limits->reporting, false);
    if (reply != NULL)
        report(limits);
}

/* False when there was nothing to tell, or no memory for it. */
static bool send_report(struct limits *limits)
{
    struct buf json;
    limits->report_began_ms = clock_monotonic_ms();
    buf_init(&json, BUS_CONTROL_MAX);
    bool is_good = append_report(&json, limits) != 0 && json.err == ERR_OK;
    if (is_good)
        bus_signal_pods(limits->bus, buf_slice(&json), on_reported, limits);
    buf_fini(&json);
    return is_good;
}

/* Whoever finds no report on its way sends one. Who finds one has noted before what was taken: the
 * one who ends the report looks for that after it. */
static void report(struct limits *limits)
{
    while (has_spending(limits) && atomic_load(&limits->commands_taken) &&
           !atomic_exchange(&limits->reporting, true)) {
        if (send_report(limits))
            return;
        atomic_store(&limits->reporting, false);
    }
}

void limits_on_commands(struct limits *limits, bool taken)
{
    atomic_store(&limits->commands_taken, taken);
    if (taken)
        report(limits);
}

/* --- hearing of them --- */

static void take_spending(void *arg, struct slice name, const struct json_value *value)
{
    struct limiter *limiter = arg;
    uint64_t tokens = 0;
    if (value->kind != JSON_IS_NUMBER || value->raw.len > TOKENS_DIGITS_MAX)
        return;
    for (size_t i = 0; i < value->raw.len; i++) {
        if (value->raw.ptr[i] < '0' || value->raw.ptr[i] > '9')
            return;
        tokens = tokens * 10 + (uint64_t)(value->raw.ptr[i] - '0');
    }
    limiter_charge(limiter, name, tokens, clock_monotonic_ns());
}

/* What is no report of a pod like this one charges nobody. */
static void take_class(void *arg, struct slice name, const struct json_value *value)
{
    const struct limits *limits = arg;
    enum json_kind kind;
    for (unsigned class = EVENT_UNLIMITED + 1; class < LIMITS_CLASSES; class ++) {
        if (limits->limiters[class] == NULL || value->kind != JSON_IS_OBJECT ||
            !slice_equals_str(name, limits_class_name(class)))
            continue;
        enum json_result result =
            json_read(value->raw, 1, take_spending, limits->limiters[class], &kind);
        (void)result; /* the pods' messages were read as a whole before */
    }
}

void limits_take_report(struct limits *limits, struct slice spent)
{
    enum json_kind kind;
    if (json_read(spent, SPENT_DEPTH, take_class, limits, &kind) != JSON_OK)
        log_warn("redis:invalid_control", log_str("op", "limits:spent"));
}

/* --- taking --- */

static void note_refusal(struct limits *limits, unsigned class, struct slice key)
{
    uint64_t total = atomic_fetch_add(&limits->refused_total[class], 1) + 1;
    if (!log_pause_is_over(&limits->refused_pause))
        return;
    log_warn("limits:refused", log_str("class", limits_class_name(class)),
             log_user(key.ptr[0] == 'u' ? slice_skip(key, 1) : SLICE_NONE),
             log_uint("refused_total", total));
}

/* The report to come, and perhaps the one under way before it, and the others' reports. */
static uint64_t pause_ms(const struct limits *limits)
{
    uint64_t ms = PAUSE_MS_MIN + 2 * atomic_load(&limits->way_ms);
    return ms < PAUSE_MS_MAX ? ms : PAUSE_MS_MAX;
}

bool limits_take(struct limits *limits, unsigned class, struct slice key, uint64_t now_ns,
                 struct limits_answer *answer)
{
    struct limiter *limiter = limits->limiters[class];
    struct limiter_answer word;
    *answer = (struct limits_answer){.pause_ms = 0};
    if (limiter == NULL)
        return true;
    if (limiter_take(limiter, key, now_ns, &word)) {
        if (limits->bus != NULL && limiter_has_spending(limiter))
            report(limits);
        if (word.is_much && atomic_load(&limits->commands_taken))
            answer->pause_ms = pause_ms(limits);
        return true;
    }
    answer->refused = (struct limited){.class = limits_class_name(class),
                                       .limit = limiter_limit(limiter),
                                       .retry_after_ms = word.retry_after_ms};
    note_refusal(limits, class, key);
    return false;
}

uint64_t limits_refused_total(const struct limits *limits, unsigned class)
{
    return atomic_load(&limits->refused_total[class]);
}
