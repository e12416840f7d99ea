/*
 * Goes through the table (config_table.c) row by row: each row's text comes from the environment or
 * is its default, and one reader for each kind turns text into a value. Everything is read before
 * anything is refused, so that one start shows all mistakes.
 *
 * A compose file passes variables on that are empty; empty therefore means the default.
 */
#include "app/config.h"

#include <assert.h>
#include <ctype.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/config_table.h"
#include "core/base/buf.h"
#include "core/base/duration.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "handlers/origin.h"

enum {
    TEXT_BYTES = 128 * 1024, /* the most that the system lets a variable have */
    SHOWN_BYTES = 256,       /* of a bad value; the rest is cut */
    WHY_BYTES = 1024,
    HOST_NAME_BYTES = 253 /* RFC 1035 2.3.4, without the dots at both ends */
};

enum {
    RESERVED_FILES = 768, /* descriptors kept from clients: HTTP requests, Redis, log, libraries */
    FILES_PER_THREAD = 3, /* an epoll, an eventfd and a ring of io_uring */
    MOST_CONNECTIONS = 1000000 /* by default, where the limit of open files is out of all reason */
};

/* A variable that is being read: where the value goes, and what the line says if it is bad. */
struct reading {
    const struct config_variable *variable;
    struct config *config;
    const char *text;
    struct buf why;
};

static void *target(const struct reading *reading)
{
    return (char *)reading->config + reading->variable->offset;
}

static bool read_number(struct reading *reading, uint64_t max, uint64_t *out)
{
    uint64_t min = reading->variable->min;
    if (duration_parse_number(slice_str(reading->text), out) && *out >= min && *out <= max)
        return true;
    buf_printf(&reading->why, "must be a number from %ju to %ju", (uintmax_t)min, (uintmax_t)max);
    return false;
}

static bool read_unsigned(struct reading *reading)
{
    uint64_t number = 0;
    if (!read_number(reading, reading->variable->max, &number))
        return false;
    *(unsigned *)target(reading) = (unsigned)number;
    return true;
}

static bool read_size(struct reading *reading)
{
    uint64_t number = 0;
    if (!read_number(reading, reading->variable->max, &number))
        return false;
    *(size_t *)target(reading) = number;
    return true;
}

static bool read_duration(struct reading *reading)
{
    const struct config_variable *variable = reading->variable;
    uint64_t ms = 0;
    if (duration_parse(slice_str(reading->text), &ms) && ms >= variable->min &&
        ms <= variable->max) {
        *(uint64_t *)target(reading) = ms;
        return true;
    }
    buf_append_str(&reading->why, "must be a whole number with its unit (ms, s or m), from ");
    duration_append(&reading->why, variable->min);
    buf_append_str(&reading->why, " to ");
    duration_append(&reading->why, variable->max);
    return false;
}

static bool read_duration_or_off(struct reading *reading)
{
    if (strcmp(reading->text, "off") == 0) {
        *(uint64_t *)target(reading) = CONFIG_OFF;
        return true;
    }
    if (read_duration(reading))
        return true;
    buf_append_str(&reading->why, ", or off");
    return false;
}

static bool read_bool(struct reading *reading)
{
    bool *value = target(reading);
    *value = strcmp(reading->text, "true") == 0;
    if (*value || strcmp(reading->text, "false") == 0)
        return true;
    buf_append_str(&reading->why, "must be true or false");
    return false;
}

static void keep_text(struct reading *reading)
{
    *(char **)target(reading) = mem_strdup(reading->text);
}

/* A text that nobody needs to give. */
static bool read_text(struct reading *reading)
{
    if (*reading->text != '\0')
        keep_text(reading);
    return true;
}

static bool read_limit(struct reading *reading)
{
    if (limit_parse(slice_str(reading->text), target(reading)))
        return true;
    buf_append_str(&reading->why, "must be a number (1 to 1000000) in a time (10ms to 1440m), such "
                                  "as 60/1m, or off");
    return false;
}

static bool read_networks(struct reading *reading)
{
    if (network_list_parse(slice_str(reading->text), target(reading)))
        return true;
    buf_append_str(&reading->why, "must be a comma-separated list of at most 64 addresses and "
                                  "networks such as 10.0.0.0/8 or fd00::/8");
    return false;
}

static bool is_numeric_address(const char *text)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(text, NULL, &hints, &found) != 0)
        return false;
    freeaddrinfo(found);
    return true;
}

static bool text_has_only(const char *text, const char *punctuation)
{
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && strchr(punctuation, *text) == NULL)
            return false;
    return true;
}

/* A name whose last label is a number is an address that somebody mistyped. */
static bool is_host_name(const char *text)
{
    const char *dot = strrchr(text, '.');
    const char *last = dot != NULL ? dot + 1 : text;
    return strlen(text) <= HOST_NAME_BYTES && text_has_only(text, ".-_") &&
           last[strspn(last, "0123456789")] != '\0';
}

static bool read_host(struct reading *reading)
{
    if (is_numeric_address(reading->text) || is_host_name(reading->text)) {
        keep_text(reading);
        return true;
    }
    buf_append_str(&reading->why, "must be an IPv4 address, an IPv6 address or a host name");
    return false;
}

static bool read_pod_id(struct reading *reading)
{
    uint64_t max = reading->variable->max;
    if (strlen(reading->text) <= max && text_has_only(reading->text, "._:-")) {
        keep_text(reading);
        return true;
    }
    buf_printf(&reading->why, "must be 1 to %ju letters, digits or any of . _ : -", (uintmax_t)max);
    return false;
}

/* What can stand behind `Bearer ` in a header: visible ASCII. */
static bool read_key(struct reading *reading)
{
    const struct config_variable *variable = reading->variable;
    size_t len = strlen(reading->text);
    bool is_visible = true;
    if (len == 0)
        return true;
    for (size_t i = 0; i < len; i++)
        is_visible = is_visible && reading->text[i] > ' ' && reading->text[i] <= '~';
    if (is_visible && len >= variable->min && len <= variable->max) {
        keep_text(reading);
        return true;
    }
    buf_printf(&reading->why, "must be %ju to %ju visible ASCII characters without blanks",
               (uintmax_t)variable->min, (uintmax_t)variable->max);
    return false;
}

static bool read_origins(struct reading *reading)
{
    if (origin_list_is_valid(reading->text)) {
        keep_text(reading);
        return true;
    }
    buf_append_str(&reading->why,
                   "must be * or a comma-separated list of origins such as https://example.org, "
                   "https://*.example.org or http://localhost:3000, without a path");
    return false;
}

static bool read_log_level(struct reading *reading)
{
    if (log_level_parse(slice_str(reading->text), target(reading)))
        return true;
    buf_append_str(&reading->why, "must be one of debug, info, warn, error");
    return false;
}

static bool read_redis_url(struct reading *reading)
{
    const char *why = NULL;
    struct config *config = reading->config;
    config->redis_enabled = *reading->text != '\0';
    if (!config->redis_enabled ||
        redis_url_parse(reading->text, &config->redis_url, &why) == ERR_OK)
        return true;
    config->redis_enabled = false;
    buf_printf(&reading->why,
               "%s (it takes redis://[[user]:password@]host[:port][/db] or unix:///path[?db=n])",
               why);
    return false;
}

/* What the process may open: the soft limit is raised as far as the system lets it. */
static uint64_t file_limit(void)
{
    struct rlimit limit;
    int result = getrlimit(RLIMIT_NOFILE, &limit);
    assert(result == 0);
    (void)result;
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

/* How many of them clients may have. A small limit is shared rather than reserved away. */
static uint64_t file_limit_for_clients(const struct config *config)
{
    uint64_t limit = file_limit();
    uint64_t reserve = RESERVED_FILES + (uint64_t)FILES_PER_THREAD * config->connection_threads;
    if (reserve > limit / 4)
        reserve = limit / 4;
    return limit - reserve;
}

static bool read_connections(struct reading *reading)
{
    uint64_t number = 0;
    if (!read_number(reading, file_limit_for_clients(reading->config), &number)) {
        buf_append_str(&reading->why,
                       ", which the limit of open files (ulimit -n) leaves room for");
        return false;
    }
    *(size_t *)target(reading) = number;
    return true;
}

static unsigned core_count(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) == 0)
        return (unsigned)CPU_COUNT(&cores);
    /* More processors than a cpu_set_t can name. */
    return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
}

/* The host's name tells people which pod it is, the random part tells a restarted one apart. */
static void make_pod_id(struct buf *out, size_t max)
{
    enum { RANDOM_DIGITS = 8 };
    char host[256] = "";
    uint32_t random = 0;
    if (gethostname(host, sizeof host - 1) != 0 || *host == '\0')
        memcpy(host, "pod", sizeof "pod");
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = (uint32_t)getpid();
    host[max - RANDOM_DIGITS - 1] = '\0';
    for (char *c = host; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL)
            *c = '-';
    buf_printf(out, "%s-%08x", host, random);
}

/* The default of a variable whose default depends on the machine. */
static void append_computed(struct buf *out, const struct reading *reading)
{
    const struct config_variable *variable = reading->variable;
    if (variable->kind == CONFIG_POD_ID) {
        make_pod_id(out, variable->max);
    } else if (variable->kind == CONFIG_CONNECTIONS) {
        uint64_t room = file_limit_for_clients(reading->config);
        buf_printf(out, "%ju", (uintmax_t)(room < MOST_CONNECTIONS ? room : MOST_CONNECTIONS));
    } else if (variable->kind == CONFIG_BOOL) {
        buf_append_str(out, reading->config->auth_enabled ? "true" : "false");
    } else if (variable->kind == CONFIG_UNSIGNED) {
        unsigned cores = core_count();
        buf_printf(out, "%u", cores < variable->max ? cores : (unsigned)variable->max);
    }
    buf_append_char(out, '\0');
}

static bool (*const readers[CONFIG_KINDS])(struct reading *) = {
    [CONFIG_UNSIGNED] = read_unsigned,   [CONFIG_SIZE] = read_size,
    [CONFIG_DURATION] = read_duration,   [CONFIG_DURATION_OR_OFF] = read_duration_or_off,
    [CONFIG_BOOL] = read_bool,           [CONFIG_HOST] = read_host,
    [CONFIG_POD_ID] = read_pod_id,       [CONFIG_ORIGINS] = read_origins,
    [CONFIG_LOG_LEVEL] = read_log_level, [CONFIG_CONNECTIONS] = read_connections,
    [CONFIG_REDIS_URL] = read_redis_url, [CONFIG_TEXT] = read_text,
    [CONFIG_SECRET] = read_text,         [CONFIG_KEY] = read_key,
    [CONFIG_LIMIT] = read_limit,         [CONFIG_NETWORKS] = read_networks,
};

/* What stands behind the scheme; all of it where no scheme is in front (RFC 3986 3.1). */
static const char *skip_scheme(const char *url)
{
    const char *end = url;
    while (isalnum((unsigned char)*end) || (*end != '\0' && strchr("+-.", *end) != NULL))
        end++;
    return strncmp(end, "://", strlen("://")) == 0 ? end + strlen("://") : url;
}

/* A URL without what may be a password: all before the last @, a password without a host, and a
 * query that is not ours. */
static void append_redacted(struct buf *out, const char *url)
{
    const char *rest = skip_scheme(url);
    const char *at = strrchr(rest, '@');
    const char *tail = at != NULL ? at : rest;
    const char *query = strchrnul(tail, '?');
    buf_append(out, url, (size_t)(rest - url));
    if (at != NULL || *rest == ':')
        buf_append_str(out, "***");
    if (at == NULL && *rest == ':')
        return;
    bool hide_query = *query != '\0' && strncmp(query, "?db=", strlen("?db=")) != 0;
    buf_append(out, tail, hide_query ? (size_t)(query - tail) : strlen(tail));
    if (hide_query)
        buf_append_str(out, "?***");
}

/* A value has one line, whatever is in it. */
static struct slice make_presentable(struct buf *value)
{
    size_t len = value->len < SHOWN_BYTES ? value->len : SHOWN_BYTES;
    while (len < value->len && len > 0 && ((unsigned char)value->ptr[len] & 0xC0) == 0x80)
        len--;
    bool is_utf8 = utf8_is_valid(value->ptr, len);
    for (size_t i = 0; i < len; i++) {
        unsigned char octet = (unsigned char)value->ptr[i];
        if (iscntrl(octet) || (octet >= 0x80 && !is_utf8))
            value->ptr[i] = '?';
    }
    return slice_of(value->ptr, len);
}

static void report(const struct reading *reading)
{
    struct buf value;
    buf_init(&value, TEXT_BYTES);
    if (reading->variable->kind == CONFIG_REDIS_URL)
        append_redacted(&value, reading->text);
    else if (reading->variable->kind == CONFIG_SECRET || reading->variable->kind == CONFIG_KEY)
        buf_append_str(&value, "***");
    else
        buf_append_str(&value, reading->text);
    struct slice shown = make_presentable(&value);
    fprintf(stderr, "chat-api: %s=%.*s%s: %.*s\n", reading->variable->name, (int)shown.len,
            shown.ptr, shown.len < value.len ? "…" : "", (int)reading->why.len, reading->why.ptr);
    buf_fini(&value);
}

static bool load_variable(struct config *config, const struct config_variable *variable)
{
    struct reading reading = {
        .variable = variable, .config = config, .text = getenv(variable->name)};
    struct buf computed;
    buf_init(&computed, WHY_BYTES);
    buf_init(&reading.why, WHY_BYTES);
    if (reading.text == NULL || *reading.text == '\0')
        reading.text = variable->fallback;
    if (*reading.text == '\0') {
        append_computed(&computed, &reading);
        reading.text = computed.ptr;
    }
    bool is_good = readers[variable->kind](&reading);
    if (!is_good)
        report(&reading);
    buf_fini(&reading.why);
    buf_fini(&computed);
    return is_good;
}

/* What no variable alone can tell. */
static bool is_consistent(const struct config *config)
{
    if (!config->auth_enabled || config->auth_jwt_secret != NULL || config->auth_jwt_keys != NULL)
        return true;
    fprintf(stderr, "chat-api: AUTH_ENABLED=true: needs AUTH_JWT_SECRET or AUTH_JWT_KEYS, for "
                    "tokens are checked with them\n");
    return false;
}

enum err config_load(struct config *config)
{
    bool is_good = true;
    *config = (struct config){0};
    const struct config_variable *variable = NULL;
    for (size_t row = 0; (variable = config_variable_at(row)) != NULL; row++)
        is_good = load_variable(config, variable) && is_good;
    if (is_good && is_consistent(config))
        return ERR_OK;
    config_fini(config);
    return ERR_INVALID;
}

void config_fini(struct config *config)
{
    mem_free(config->host);
    mem_free(config->api_key);
    mem_free(config->allowed_origins);
    mem_free(config->pod_id);
    if (config->auth_jwt_secret != NULL)
        explicit_bzero(config->auth_jwt_secret, strlen(config->auth_jwt_secret));
    mem_free(config->auth_jwt_secret);
    mem_free(config->auth_jwt_keys);
    mem_free(config->auth_jwt_issuer);
    mem_free(config->auth_jwt_audience);
    if (config->redis_enabled)
        redis_url_fini(&config->redis_url);
    *config = (struct config){0};
}
