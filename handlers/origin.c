#include "handlers/origin.h"

#include <ctype.h>
#include <strings.h>

enum { NO_PORT = -1, PORT_MAX = 65535 };

/* Borrowed pieces of one origin or list entry. */
struct origin {
    struct slice scheme;
    struct slice host;
    int port; /* the scheme's own where none is given */
};

static bool is_alpha(char c)
{
    return isalpha((unsigned char)c) != 0;
}

static bool is_digit(char c)
{
    return isdigit((unsigned char)c) != 0;
}

static bool equals_ignoring_case(struct slice a, struct slice b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* Moves what stands before `mark` from `*rest` to `*part`, and the mark away. */
static bool split_at(struct slice *rest, const char *mark, struct slice *part)
{
    size_t mark_len = strlen(mark);
    const char *found = rest->len > 0 ? memmem(rest->ptr, rest->len, mark, mark_len) : NULL;
    if (found == NULL)
        return false;
    *part = slice_of(rest->ptr, (size_t)(found - rest->ptr));
    *rest = slice_skip(*rest, part->len + mark_len);
    return true;
}

static bool scheme_is_valid(struct slice scheme)
{
    if (scheme.len == 0 || !is_alpha(scheme.ptr[0]))
        return false;
    for (size_t i = 0; i < scheme.len; i++) {
        char c = scheme.ptr[i];
        if (!is_alpha(c) && !is_digit(c) && c != '+' && c != '-' && c != '.')
            return false;
    }
    return true;
}

/* An IPv6 address, near enough: it is only ever compared with what a browser wrote. */
static bool address_is_valid(struct slice address)
{
    for (size_t i = 0; i < address.len; i++)
        if (!isxdigit((unsigned char)address.ptr[i]) && address.ptr[i] != ':')
            return false;
    return address.len > 0;
}

/* Letters are punycode where a name has others: browsers send nothing else. */
static bool host_is_valid(struct slice host)
{
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        return address_is_valid(slice_of(host.ptr + 1, host.len - 2));
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '.' && c != '_')
            return false;
    }
    return host.len > 0;
}

static int default_port(struct slice scheme)
{
    if (equals_ignoring_case(scheme, slice_str("http")))
        return 80;
    if (equals_ignoring_case(scheme, slice_str("https")))
        return 443;
    return NO_PORT;
}

static bool parse_port(struct slice text, int *port)
{
    *port = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]))
            return false;
        *port = *port * 10 + (text.ptr[i] - '0');
        if (*port > PORT_MAX)
            return false;
    }
    return text.len > 0;
}

/* Where the port's colon stands in `[2001:db8::1]:8080` or `example.org:8080`; NULL without one. */
static const char *find_port_colon(struct slice authority)
{
    const char *colon = memrchr(authority.ptr, ':', authority.len);
    const char *bracket = memrchr(authority.ptr, ']', authority.len);
    return colon != NULL && (bracket == NULL || colon > bracket) ? colon : NULL;
}

/* The host is left unchecked: entries may have a star in it. */
static bool split_origin(struct slice text, struct origin *out)
{
    out->host = text;
    if (!split_at(&out->host, "://", &out->scheme) || !scheme_is_valid(out->scheme))
        return false;
    out->port = default_port(out->scheme);
    const char *colon = find_port_colon(out->host);
    if (colon == NULL)
        return true;
    struct slice port = slice_skip(out->host, (size_t)(colon - out->host.ptr) + 1);
    out->host.len = (size_t)(colon - out->host.ptr);
    return parse_port(port, &out->port);
}

static bool is_wildcard(struct slice host)
{
    return slice_starts_with(host, slice_str("*."));
}

static bool entry_is_valid(struct slice entry)
{
    struct origin origin;
    if (slice_equals_str(entry, "*") || slice_equals_str(entry, "null"))
        return true;
    if (!split_origin(entry, &origin))
        return false;
    if (is_wildcard(origin.host))
        origin.host = slice_skip(origin.host, strlen("*."));
    return host_is_valid(origin.host);
}

static bool host_matches(struct slice pattern, struct slice host)
{
    if (!is_wildcard(pattern))
        return equals_ignoring_case(pattern, host);
    struct slice tail = slice_skip(pattern, 1); /* with its dot, so that `notexample.org` is not */
    return host.len > tail.len && equals_ignoring_case(tail, slice_skip(host, host.len - tail.len));
}

static bool entry_matches(struct slice entry, struct slice text)
{
    struct origin allowed, origin;
    if (slice_equals_str(entry, "*"))
        return true;
    if (slice_equals_str(entry, "null"))
        return slice_equals_str(text, "null");
    return split_origin(entry, &allowed) && split_origin(text, &origin) &&
           host_is_valid(origin.host) && equals_ignoring_case(allowed.scheme, origin.scheme) &&
           allowed.port == origin.port && host_matches(allowed.host, origin.host);
}

/* Takes the next entry off the list; false behind the last one. */
static bool next_entry(const char **list, struct slice *entry)
{
    if (*list == NULL)
        return false;
    const char *end = strchrnul(*list, ',');
    *entry = slice_trim(slice_of(*list, (size_t)(end - *list)));
    *list = *end != '\0' ? end + 1 : NULL;
    return true;
}

bool origin_list_is_valid(const char *allowed_list)
{
    struct slice entry;
    while (next_entry(&allowed_list, &entry))
        if (!entry_is_valid(entry))
            return false;
    return true;
}

bool origin_is_allowed(const char *allowed_list, struct slice origin)
{
    struct slice entry;
    while (next_entry(&allowed_list, &entry))
        if (entry_matches(entry, origin))
            return true;
    return false;
}
