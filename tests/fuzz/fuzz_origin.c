/*
 * Input: a list of allowed origins, a newline, the value of an Origin header. A second
 * implementation, made of regular expressions, says which lists are valid and what a valid one
 * allows; and a longer list allows no less, however broken it is.
 */
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/buf.h"
#include "handlers/origin.h"

#define SCHEME "([A-Za-z][A-Za-z0-9+.-]*)"
#define STAR   "([*][.])?"
#define HOST   "([[][0-9A-Fa-f:]+[]]|[A-Za-z0-9._-]+)"
#define PORT   "(:([0-9]+))?"

enum { LONGEST_INPUT = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* --- the model --- */

struct parts {
    struct slice scheme, star, host;
    double port; /* infinite digits are no trouble */
};

static struct slice group(const char *text, const regmatch_t *match)
{
    return match->rm_so == -1
               ? slice_str("")
               : slice_of(text + match->rm_so, (size_t)(match->rm_eo - match->rm_so));
}

static bool is_same(struct slice a, struct slice b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static double default_port(struct slice scheme)
{
    if (is_same(scheme, slice_str("https")))
        return 443;
    return is_same(scheme, slice_str("http")) ? 80 : -1;
}

/* Of an entry or of an origin, which has no star. */
static bool take_apart(const char *text, struct parts *parts)
{
    static regex_t regex;
    static bool compiled;
    regmatch_t match[6];
    if (!compiled)
        require(regcomp(&regex, "^" SCHEME "://" STAR HOST PORT "$", REG_EXTENDED) == 0);
    compiled = true;
    if (regexec(&regex, text, 6, match, 0) != 0)
        return false;
    parts->scheme = group(text, &match[1]);
    parts->star = group(text, &match[2]);
    parts->host = group(text, &match[3]);
    parts->port = default_port(parts->scheme);
    if (match[5].rm_so != -1)
        parts->port = strtod(text + match[5].rm_so, NULL);
    return parts->port <= 65535;
}

static bool model_matches(const char *entry, const char *text)
{
    struct parts allowed, origin;
    if (strcmp(entry, "*") == 0 || (strcmp(entry, "null") == 0 && strcmp(text, "null") == 0))
        return true;
    if (!take_apart(entry, &allowed) || !take_apart(text, &origin) || origin.star.len != 0)
        return false;
    if (!is_same(allowed.scheme, origin.scheme) || allowed.port != origin.port)
        return false;
    if (allowed.star.len == 0)
        return is_same(allowed.host, origin.host);
    /* Something, a dot, and the host of the entry. */
    if (origin.host.len < allowed.host.len + 2)
        return false;
    struct slice tail = slice_skip(origin.host, origin.host.len - allowed.host.len);
    return is_same(tail, allowed.host) && tail.ptr[-1] == '.';
}

struct judgement {
    bool list_is_valid, is_allowed;
};

/* A NUL in the origin ends it for the model: `text` is NULL then, and only * lets it in. */
static struct judgement judge(const char *list, const char *text)
{
    struct judgement judgement = {.list_is_valid = true};
    char copy[LONGEST_INPUT + 1], *rest = copy;
    memcpy(copy, list, strlen(list) + 1);
    for (char *entry; (entry = strsep(&rest, ",")) != NULL;) {
        struct parts ignored;
        entry += strspn(entry, " \t");
        for (size_t len = strlen(entry); len > 0 && strchr(" \t", entry[len - 1]) != NULL; len--)
            entry[len - 1] = '\0';
        bool is_word = strcmp(entry, "*") == 0 || strcmp(entry, "null") == 0;
        judgement.list_is_valid &= is_word || take_apart(entry, &ignored);
        judgement.is_allowed |= text != NULL ? model_matches(entry, text) : strcmp(entry, "*") == 0;
    }
    return judgement;
}

/* --- what must hold --- */

static void check_longer_list(const char *list, struct slice origin)
{
    struct buf more;
    buf_init(&more, (size_t)2 * LONGEST_INPUT);
    buf_append_str(&more, list);
    buf_append_str(&more, ",https://other.example");
    buf_append_char(&more, '\0');
    require(origin_is_allowed(more.ptr, origin));
    buf_fini(&more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size <= LONGEST_INPUT ? memchr(data, '\n', size) : NULL;
    if (end == NULL)
        return 0;
    char list[LONGEST_INPUT + 1], text[LONGEST_INPUT + 1];
    size_t list_len = (size_t)(end - data);
    struct slice origin = slice_of(end + 1, size - list_len - 1);
    memcpy(list, data, list_len);
    list[list_len] = '\0';
    memcpy(text, origin.ptr, origin.len);
    text[origin.len] = '\0';
    struct judgement expected = judge(list, strlen(text) == origin.len ? text : NULL);
    bool is_allowed = origin_is_allowed(list, origin);
    require(origin_list_is_valid(list) == expected.list_is_valid);
    require(!expected.list_is_valid || is_allowed == expected.is_allowed);
    if (is_allowed)
        check_longer_list(list, origin);
    return 0;
}
