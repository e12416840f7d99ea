/*
 * The text is cut from the outside in: scheme, then what stands before the path, then the last @
 * (passwords hold one more often than they are encoded), then host and port. Decoding comes last,
 * on the parts, so that an encoded delimiter never cuts anything.
 */
#include "core/bus/redis_url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <strings.h>
#include <sys/un.h>

#include "core/base/mem.h"

enum {
    DEFAULT_PORT = 6379,
    HOST_MAX = 253, /* a name in the DNS */
    DB_MAX = INT_MAX,
};

static const char why_scheme[] = "must start with redis:// or unix://";
static const char why_tls[] =
    "rediss:// is not supported: TLS to Redis goes through a local proxy such as stunnel";
static const char why_percent[] = "has a % that is not followed by two hexadecimal digits";
static const char why_host[] = "needs a host name, an IPv4 address or an IPv6 address in brackets";
static const char why_port[] = "needs a port from 1 to 65535";
static const char why_db[] = "needs a database number of digits only";
static const char why_user[] = "names a user without a password: write redis://user:password@host";
static const char why_query[] = "takes no ? and no # behind redis://host:port/db; encode them";
static const char why_unix[] = "needs an absolute path of at most 107 bytes: unix:///path";
static const char why_unix_query[] = "takes ?db=n behind the path and nothing else";

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The decoded text, or NULL when an escape is broken or stands for the terminator. */
static char *decode(struct slice text)
{
    char *out = mem_zalloc(text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                mem_free(out);
                return NULL;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        out[len++] = c;
    }
    return out;
}

/* Digits only, at least one, at most `max`. */
static bool parse_number(struct slice text, int max, int *out)
{
    int64_t value = 0;
    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    if (value > max)
        return false;
    *out = (int)value;
    return true;
}

/* Where the first of the octets in `set` stands; the length when there is none. */
static size_t find_any(struct slice text, const char *set)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(set, text.ptr[i]) != NULL)
            return i;
    return text.len;
}

static bool is_host_name(const char *host)
{
    size_t len = strlen(host);
    if (len == 0 || len > HOST_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)host[i]) && strchr("-._", host[i]) == NULL)
            return false;
    return true;
}

static bool is_ipv6(const char *host)
{
    struct in6_addr ignored;
    return inet_pton(AF_INET6, host, &ignored) == 1;
}

static const char *parse_port(struct slice text, struct redis_url *url)
{
    url->port = DEFAULT_PORT;
    if (text.len == 0)
        return NULL;
    if (text.ptr[0] != ':' || !parse_number(slice_skip(text, 1), UINT16_MAX, &url->port) ||
        url->port == 0)
        return why_port;
    return NULL;
}

static const char *parse_host(struct slice text, struct redis_url *url)
{
    bool bracketed = text.len > 0 && text.ptr[0] == '[';
    size_t end = find_any(text, bracketed ? "]" : ":");
    if (bracketed && end == text.len)
        return why_host;
    size_t start = bracketed ? 1 : 0;
    url->host = decode(slice_of(text.ptr + start, end - start));
    if (url->host == NULL)
        return why_percent;
    if (bracketed ? !is_ipv6(url->host) : !is_host_name(url->host))
        return why_host;
    return parse_port(slice_skip(text, end + start), url);
}

static const char *parse_user(struct slice text, struct redis_url *url)
{
    size_t colon = find_any(text, ":");
    if (colon == text.len)
        return why_user;
    /* ":@" comes from templates whose password is not set: nobody to log in. */
    if (text.len == 1)
        return NULL;
    url->password = decode(slice_skip(text, colon + 1));
    if (colon > 0)
        url->user = decode(slice_of(text.ptr, colon));
    if (url->password == NULL || (colon > 0 && url->user == NULL))
        return why_percent;
    return NULL;
}

static const char *parse_tcp(struct slice text, struct redis_url *url)
{
    size_t slash = find_any(text, "/?#");
    struct slice authority = slice_of(text.ptr, slash), path = slice_skip(text, slash);
    const char *why = NULL;
    for (size_t i = authority.len; i > 0 && why == NULL; i--) {
        if (authority.ptr[i - 1] != '@')
            continue;
        why = parse_user(slice_of(authority.ptr, i - 1), url);
        authority = slice_skip(authority, i);
        break;
    }
    if (why == NULL)
        why = parse_host(authority, url);
    if (why != NULL)
        return why;
    if (find_any(path, "?#") != path.len)
        return why_query;
    if (path.len > 1 && !parse_number(slice_skip(path, 1), DB_MAX, &url->db))
        return why_db;
    return NULL;
}

static const char *parse_unix(struct slice text, struct redis_url *url)
{
    size_t mark = find_any(text, "?");
    struct slice query = slice_skip(text, mark);
    url->unix_path = decode(slice_of(text.ptr, mark));
    if (url->unix_path == NULL)
        return why_percent;
    size_t len = strlen(url->unix_path);
    if (len < 2 || url->unix_path[0] != '/' || len >= sizeof((struct sockaddr_un *)0)->sun_path)
        return why_unix;
    if (query.len == 0)
        return NULL;
    if (!slice_starts_with(query, slice_str("?db=")))
        return why_unix_query;
    return parse_number(slice_skip(query, 4), DB_MAX, &url->db) ? NULL : why_db;
}

static bool skip_scheme(struct slice *text, const char *scheme)
{
    size_t len = strlen(scheme);
    /* Schemes are compared without regard to case (RFC 3986 3.1). */
    if (text->len < len || strncasecmp(text->ptr, scheme, len) != 0)
        return false;
    *text = slice_skip(*text, len);
    return true;
}

enum err redis_url_parse(const char *text, struct redis_url *url, const char **why)
{
    struct slice rest = slice_str(text);
    *url = (struct redis_url){0};
    if (skip_scheme(&rest, "redis://"))
        *why = parse_tcp(rest, url);
    else if (skip_scheme(&rest, "unix://"))
        *why = parse_unix(rest, url);
    else
        *why = skip_scheme(&rest, "rediss://") ? why_tls : why_scheme;
    if (*why == NULL)
        return ERR_OK;
    redis_url_fini(url);
    return ERR_INVALID;
}

void redis_url_fini(struct redis_url *url)
{
    mem_free(url->host);
    mem_free(url->unix_path);
    mem_free(url->user);
    if (url->password != NULL)
        explicit_bzero(url->password, strlen(url->password));
    mem_free(url->password);
    *url = (struct redis_url){0};
}
