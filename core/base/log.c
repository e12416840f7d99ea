/*
 * A line is put together on the stack and handed over whole. How depends on what standard error is:
 *
 *   pipe, file, terminal  opened anew through /proc, so that O_NONBLOCK is ours alone: set on
 *                         descriptor 2, it would hold for every process that shares it
 *   socket                send() with MSG_DONTWAIT
 *   not to be opened      write() to descriptor 2 once poll() says that there is room; a line is
 *                         shorter than PIPE_BUF, so it fits unless threads race for that room
 *   closed                nowhere: its number may be a client's socket by now
 */
#include "core/base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/json.h"

#define METADATA_OPEN  ",\"metadata\":{"
#define METADATA_CLOSE "}}\n"

enum {
    TEXT_BYTES = 256, /* of a text; more is cut */
    VALUE_BYTES = 520 /* of a value with its escapes; user and room leave the metadata its share */
};

static_assert(LOG_LINE_MAX < PIPE_BUF, "a line is one atomic write");

enum sink { SINK_POLLED, SINK_PRIVATE, SINK_SOCKET, SINK_NOWHERE };

static const char *const level_names[LOG_LEVELS] = {"debug", "info", "warn", "error"};

static _Atomic enum log_level lowest = LOG_INFO;
static enum sink sink = SINK_POLLED; /* this and the next: fixed by log_open */
static int private_fd = -1;
static _Atomic uint64_t dropped;
static atomic_bool line_is_cut; /* the last write was a short one */

static enum sink choose_sink(void)
{
    struct stat status;
    if (fstat(STDERR_FILENO, &status) != 0)
        return SINK_NOWHERE;
    if (S_ISSOCK(status.st_mode))
        return SINK_SOCKET;
    private_fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_APPEND | O_NOCTTY | O_CLOEXEC);
    return private_fd >= 0 ? SINK_PRIVATE : SINK_POLLED;
}

void log_open(enum log_level level)
{
    if (private_fd >= 0)
        close(private_fd);
    private_fd = -1;
    sink = choose_sink();
    atomic_store(&lowest, level);
}

bool log_enabled(enum log_level level)
{
    return level >= atomic_load_explicit(&lowest, memory_order_relaxed);
}

bool log_level_parse(struct slice text, enum log_level *out)
{
    for (int level = 0; level < LOG_LEVELS; level++) {
        if (slice_equals_str(text, level_names[level])) {
            *out = (enum log_level)level;
            return true;
        }
    }
    return false;
}

uint64_t log_dropped_total(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

/* Whether the site may write now; `*held_back` is then what it could not since it last did.
 * Threads that race at the turn of a second may get a few lines more. */
static bool site_take(struct log_site *site, unsigned *held_back)
{
    uint_fast64_t now = clock_monotonic_ms() / 1000u + 1;
    uint_fast64_t second = atomic_load(&site->second);
    if (now > second && atomic_compare_exchange_strong(&site->second, &second, now))
        atomic_store(&site->lines, 0);
    if (atomic_fetch_add(&site->lines, 1) >= LOG_BURST) {
        atomic_fetch_add(&site->suppressed, 1);
        return false;
    }
    *held_back = atomic_exchange(&site->suppressed, 0);
    return true;
}

static struct slice cut_text(struct slice text, size_t len)
{
    if (len >= text.len)
        return text;
    while (len > 0 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
        len--;
    return slice_of(text.ptr, len);
}

/* As much of the text as fits, found by halving: escapes make its length hard to foresee. */
static void append_text(struct buf *buf, struct slice text)
{
    if (buf->err != ERR_OK)
        return;
    size_t start = buf->len, max = buf->max;
    size_t len = text.len < TEXT_BYTES ? text.len : TEXT_BYTES;
    if (max - start > VALUE_BYTES)
        buf->max = start + VALUE_BYTES;
    for (;; len /= 2) {
        struct slice cut = cut_text(text, len);
        json_append_string(buf, cut);
        if (cut.len < text.len && buf->err == ERR_OK) {
            buf->len--;
            buf_append_str(buf, "…\"");
        }
        if (buf->err == ERR_OK || len == 0)
            break;
        buf->len = start;
        buf->err = ERR_OK;
    }
    buf->max = max;
}

static void append_value(struct buf *buf, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_KIND_USER:
    case LOG_KIND_ROOM:
    case LOG_KIND_TEXT:
        append_text(buf, field->text);
        break;
    case LOG_KIND_INT:
        buf_printf(buf, "%lld", (long long)field->number);
        break;
    case LOG_KIND_UINT:
        buf_printf(buf, "%llu", (unsigned long long)field->count);
        break;
    case LOG_KIND_DOUBLE:
        if (isfinite(field->real))
            buf_printf(buf, "%.9g", field->real);
        else
            buf_append_str(buf, "null");
        break;
    case LOG_KIND_BOOL:
        buf_append_str(buf, field->number != 0 ? "true" : "false");
        break;
    case LOG_KIND_NONE:
        buf_append_str(buf, "null");
        break;
    }
}

/* The whole member or, where the line has no room for it, nothing of it. */
static void append_member(struct buf *buf, const char *name, const struct log_field *field)
{
    size_t start = buf->len;
    if (buf->ptr[start - 1] != '{')
        buf_append_char(buf, ',');
    json_append_string(buf, slice_str(name));
    buf_append_char(buf, ':');
    append_value(buf, field);
    if (buf->err != ERR_OK) {
        buf->len = start;
        buf->err = ERR_OK;
    }
}

static bool is_metadata(const struct log_field *field)
{
    switch (field->kind) {
    case LOG_KIND_NONE:
    case LOG_KIND_USER:
    case LOG_KIND_ROOM:
        return false;
    case LOG_KIND_TEXT:
        return field->text.ptr != NULL;
    default:
        return true;
    }
}

static void append_first_of_kind(struct buf *buf, enum log_kind kind, const char *name,
                                 const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].kind == kind && fields[i].text.ptr != NULL) {
            append_member(buf, name, &fields[i]);
            return;
        }
    }
}

static void append_metadata(struct buf *buf, unsigned held_back, const struct log_field *fields,
                            size_t count)
{
    buf_append_str(buf, METADATA_OPEN);
    if (held_back > 0) {
        struct log_field suppressed = log_uint("suppressed", held_back);
        append_member(buf, suppressed.name, &suppressed);
    }
    for (size_t i = 0; i < count; i++)
        if (is_metadata(&fields[i]))
            append_member(buf, fields[i].name, &fields[i]);
}

static void append_text_member(struct buf *buf, const char *name, const char *text)
{
    struct log_field field = log_str(name, text);
    append_member(buf, name, &field);
}

static void append_head(struct buf *buf, enum log_level level, const char *event)
{
    char timestamp[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(clock_wall_ms(), timestamp);
    buf_append_char(buf, '{');
    append_text_member(buf, "timestamp", timestamp);
    append_text_member(buf, "level", level_names[level]);
    append_text_member(buf, "event", event);
}

static ssize_t write_once(const char *bytes, size_t len)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    switch (sink) {
    case SINK_PRIVATE:
        return write(private_fd, bytes, len);
    case SINK_SOCKET:
        return send(STDERR_FILENO, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case SINK_POLLED:
        return poll(&room, 1, 0) == 1 ? write(STDERR_FILENO, bytes, len) : -1;
    case SINK_NOWHERE:
        break;
    }
    return -1;
}

/* `line` begins with a newline of its own, which goes out only to end a line that was cut. */
static bool write_line(struct slice line)
{
    bool follows_cut = atomic_exchange(&line_is_cut, false);
    if (!follows_cut)
        line = slice_skip(line, 1);
    ssize_t written = -1;
    do {
        errno = 0;
        written = write_once(line.ptr, line.len);
    } while (written < 0 && errno == EINTR);
    if (written == (ssize_t)line.len)
        return true;
    if (written > 0 || follows_cut)
        atomic_store(&line_is_cut, true);
    atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    return false;
}

void log_write(struct log_site *site, enum log_level level, const char *event,
               const struct log_field *fields, size_t count)
{
    assert(count <= LOG_FIELDS_MAX);
    unsigned held_back = 0;
    if (!site_take(site, &held_back))
        return;

    /* A buffer that is as large as it may become never asks for memory. */
    char line[1 + LOG_LINE_MAX];
    struct buf buf = {.ptr = line, .cap = sizeof line, .max = sizeof line - strlen(METADATA_CLOSE)};
    buf_append_char(&buf, '\n');
    append_head(&buf, level, event);
    append_first_of_kind(&buf, LOG_KIND_USER, "userId", fields, count);
    append_first_of_kind(&buf, LOG_KIND_ROOM, "channelId", fields, count);
    append_metadata(&buf, held_back, fields, count);
    buf.max = sizeof line;
    buf_append_str(&buf, METADATA_CLOSE);
    if (!write_line(buf_slice(&buf)) && held_back > 0)
        atomic_fetch_add(&site->suppressed, held_back);
}
