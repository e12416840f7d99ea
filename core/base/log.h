#pragma once

/*
 * One JSON object a line on standard error (CONTRACT: logs).
 *
 *     log_info("client:connected", log_user(id), log_room(name), log_uint("clients", n));
 *     {"timestamp":"…","level":"info","event":"client:connected","userId":…,"channelId":…,
 *      "metadata":{"clients":3}}
 *
 * The event is a constant, fields are typed, a line is bounded (LOG_LINE_MAX, values are cut, never
 * the JSON), written with one write() and no lock. A standard error that nobody reads never blocks
 * a thread: it is opened anew without blocking, and what it does not take is dropped and counted.
 * The level is tested before arguments are built. What peers can cause again and again is limited
 * per call site (LOG_BURST lines a second; the next line that passes says how many were held back
 * in metadata.suppressed).
 *
 * No message text, no token, no password goes into a log, ever.
 *
 * Threads: any. log_open: the main thread, before others start.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVELS };

enum { LOG_LINE_MAX = 2048, LOG_BURST = 100, LOG_FIELDS_MAX = 12 };

enum log_kind {
    LOG_KIND_NONE,
    LOG_KIND_USER,
    LOG_KIND_ROOM,
    LOG_KIND_TEXT,
    LOG_KIND_INT,
    LOG_KIND_UINT,
    LOG_KIND_DOUBLE,
    LOG_KIND_BOOL
};

struct log_field {
    enum log_kind kind;
    const char *name;  /* in metadata; NULL for user and room */
    struct slice text; /* borrowed for the call; ptr NULL: the field is left out */
    int64_t number;
    uint64_t count;
    double real;
};

/* A call site's own budget. */
struct log_site {
    atomic_uint_fast64_t second; /* the second that `lines` counts */
    atomic_uint lines;
    atomic_uint suppressed;
};

void log_open(enum log_level level);
bool log_enabled(enum log_level level);
/* Parses debug, info, warn, error. */
bool log_level_parse(struct slice text, enum log_level *out);
/* Lines that standard error did not take. */
uint64_t log_dropped_total(void);

/* Not called directly: the macros below make the site and gather the fields. */
__attribute__((cold)) void log_write(struct log_site *site, enum log_level level, const char *event,
                                     const struct log_field *fields, size_t count);

#define LOG_AT(level, event, ...)                                                                  \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            static struct log_site log_site_;                                                      \
            /* The first one is there so that none at all is an array too. */                      \
            const struct log_field log_fields_[] = {{.kind = LOG_KIND_NONE}, __VA_ARGS__};         \
            log_write(&log_site_, level, event, log_fields_ + 1,                                   \
                      sizeof log_fields_ / sizeof *log_fields_ - 1);                               \
        }                                                                                          \
    } while (0)

#define log_debug(event, ...) LOG_AT(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) LOG_AT(LOG_ERROR, event, __VA_ARGS__)

static inline struct log_field log_user(struct slice id)
{
    return (struct log_field){.kind = LOG_KIND_USER, .text = id};
}

static inline struct log_field log_room(struct slice name)
{
    return (struct log_field){.kind = LOG_KIND_ROOM, .text = name};
}

static inline struct log_field log_text(const char *name, struct slice text)
{
    return (struct log_field){.kind = LOG_KIND_TEXT, .name = name, .text = text};
}

static inline struct log_field log_str(const char *name, const char *text)
{
    return log_text(name, slice_str(text));
}

static inline struct log_field log_int(const char *name, int64_t number)
{
    return (struct log_field){.kind = LOG_KIND_INT, .name = name, .number = number};
}

static inline struct log_field log_uint(const char *name, uint64_t count)
{
    return (struct log_field){.kind = LOG_KIND_UINT, .name = name, .count = count};
}

static inline struct log_field log_double(const char *name, double real)
{
    return (struct log_field){.kind = LOG_KIND_DOUBLE, .name = name, .real = real};
}

static inline struct log_field log_bool(const char *name, bool value)
{
    return (struct log_field){.kind = LOG_KIND_BOOL, .name = name, .number = value};
}
