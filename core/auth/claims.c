#include "core/auth/claims.h"

#include <jansson.h>

#include "core/auth/jws.h"
#include "core/base/utf8.h"

/* 9999-12-31T23:59:59Z: beyond it, no number is meant to be a time. */
#define LATEST_S 253402300799.0

/* What is being put together. */
struct reading {
    const json_t *claims;
    const struct claims_opts *opts;
    const char *why; /* NULL as long as no rule is broken */
    struct user user;
    struct grant grants[USER_GRANTS_MAX];
};

static struct slice text_of(const json_t *value)
{
    return slice_of(json_string_value(value), json_string_length(value));
}

static void complain(struct reading *reading, const char *why)
{
    if (reading->why == NULL)
        reading->why = why;
}

/* --- time --- */

/* NumericDate (RFC 7519 2): seconds, fractions allowed. */
static bool read_date(const json_t *value, uint64_t *ms)
{
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !(seconds >= 0 && seconds <= LATEST_S))
        return false;
    *ms = (uint64_t)(seconds * 1000);
    return true;
}

static void read_expiry(struct reading *reading)
{
    const json_t *exp = json_object_get(reading->claims, "exp");
    if (exp == NULL)
        complain(reading, "the token has no exp");
    else if (!read_date(exp, &reading->user.expires_ms))
        complain(reading, "the token's exp must be a number of seconds up to the year 9999");
    else if (user_time_left_ms(&reading->user, reading->opts->now_ms) == 0)
        complain(reading, "the token has expired");
}

static void read_not_before(struct reading *reading)
{
    const json_t *nbf = json_object_get(reading->claims, "nbf");
    uint64_t from_ms = 0;
    if (nbf == NULL)
        return;
    if (!read_date(nbf, &from_ms))
        complain(reading, "the token's nbf must be a number of seconds up to the year 9999");
    else if (from_ms > reading->opts->now_ms + USER_LEEWAY_MS)
        complain(reading, "the token is not valid yet");
}

/* --- from whom, for whom --- */

static void read_issuer(struct reading *reading)
{
    const json_t *iss = json_object_get(reading->claims, "iss");
    const char *wanted = reading->opts->issuer;
    if (wanted != NULL && (!json_is_string(iss) || !slice_equals_str(text_of(iss), wanted)))
        complain(reading, "the token is of another issuer");
}

/* RFC 7519 4.1.3: one string, or an array of them. */
static void read_audience(struct reading *reading)
{
    const json_t *aud = json_object_get(reading->claims, "aud");
    const char *wanted = reading->opts->audience;
    if (wanted == NULL)
        return;
    bool found = json_is_string(aud) && slice_equals_str(text_of(aud), wanted);
    bool strings = json_is_string(aud) || json_is_array(aud);
    size_t index;
    const json_t *entry;
    json_array_foreach(aud, index, entry)
    {
        strings = strings && json_is_string(entry);
        found = found || (json_is_string(entry) && slice_equals_str(text_of(entry), wanted));
    }
    if (!strings || !found)
        complain(reading, "the token is for another audience");
}

/* --- who --- */

static void read_subject(struct reading *reading)
{
    const json_t *sub = json_object_get(reading->claims, "sub");
    reading->user.id = text_of(sub);
    complain(reading, json_is_string(sub) ? user_check_id(reading->user.id)
                                          : "the token has no sub, or one that is no string");
}

static void read_name(struct reading *reading)
{
    const json_t *name = json_object_get(reading->claims, "name");
    if (name == NULL)
        return;
    struct slice text = text_of(name);
    if (!json_is_string(name) || text.len > USER_NAME_MAX || !utf8_is_valid(text.ptr, text.len) ||
        utf8_has_control(text.ptr, text.len))
        complain(reading, "the token's name must have at most 64 bytes and no control characters");
    else if (text.len != 0)
        reading->user.name = text;
}

/* --- what for --- */

static void add_scope(struct reading *reading, struct slice scope)
{
    if (slice_equals_str(scope, "publish"))
        reading->user.scopes |= USER_SCOPE_PUBLISH;
    if (slice_equals_str(scope, "admin"))
        reading->user.scopes |= USER_SCOPE_ADMIN;
}

/* RFC 8693 4.2: names with spaces between them. */
static void add_scopes(struct reading *reading, struct slice list)
{
    while (list.len != 0) {
        const char *space = memchr(list.ptr, ' ', list.len);
        size_t len = space != NULL ? (size_t)(space - list.ptr) : list.len;
        add_scope(reading, slice_of(list.ptr, len));
        list = slice_skip(list, space != NULL ? len + 1 : len);
    }
}

static void read_scope(struct reading *reading)
{
    const json_t *scope = json_object_get(reading->claims, "scope");
    size_t index;
    const json_t *entry;
    if (json_is_string(scope))
        add_scopes(reading, text_of(scope));
    else if (scope != NULL && !json_is_array(scope))
        complain(reading, "the token's scope must be a string or an array of strings");
    json_array_foreach(scope, index, entry)
    {
        if (json_is_string(entry))
            add_scope(reading, text_of(entry));
        else
            complain(reading, "the token's scope must be a string or an array of strings");
    }
}

/* --- rooms --- */

/* False when it is no array of names of rights. */
static bool read_rights(const json_t *can, unsigned *out)
{
    size_t index;
    const json_t *entry;
    *out = 0;
    json_array_foreach(can, index, entry)
    {
        struct slice right = text_of(entry);
        if (json_is_string(entry) && slice_equals_str(right, "join"))
            *out |= USER_JOIN;
        else if (json_is_string(entry) && slice_equals_str(right, "publish"))
            *out |= USER_PUBLISH;
        else
            return false;
    }
    return json_is_array(can);
}

/* What is not understood could be meant to narrow the grant, so it is refused. */
static bool read_grant(const json_t *entry, struct grant *out)
{
    const json_t *match = json_object_get(entry, "match"), *can = json_object_get(entry, "can");
    out->pattern = text_of(match);
    out->can = USER_JOIN | USER_PUBLISH;
    return json_is_string(match) && out->pattern.len != 0 && out->pattern.len <= USER_PATTERN_MAX &&
           json_object_size(entry) == (can != NULL ? 2 : 1) &&
           (can == NULL || read_rights(can, &out->can));
}

static void read_grants(struct reading *reading)
{
    const json_t *rooms = json_object_get(reading->claims, "rooms");
    if (rooms == NULL)
        return;
    reading->user.has_grants = true;
    if (!json_is_array(rooms) || json_array_size(rooms) > USER_GRANTS_MAX) {
        complain(reading, "the token's rooms must be an array of at most 100 grants");
        return;
    }
    size_t index;
    const json_t *entry;
    json_array_foreach(rooms, index, entry) if (!read_grant(entry, &reading->grants[index]))
        complain(reading, "a grant in the token's rooms has the form "
                          "{\"match\":\"…\",\"can\":[\"join\",\"publish\"]}");
    reading->user.grants = reading->grants;
    reading->user.grants_count = json_array_size(rooms);
}

/* --- all of it --- */

static enum err make_user(const struct reading *reading, struct user **out, const char **why)
{
    *why = reading->why;
    if (reading->why != NULL)
        return ERR_INVALID;
    *out = user_try_create(&reading->user);
    if (*out != NULL)
        return ERR_OK;
    *why = "out of memory";
    return ERR_NOMEM;
}

enum err claims_read(struct slice json, const struct claims_opts *opts, struct user **out,
                     const char **why)
{
    json_error_t error;
    json_t *claims = json_loadb(json.ptr, json.len, JWS_JSON_FLAGS, &error);
    struct reading reading = {.claims = claims, .opts = opts};
    *out = NULL;
    if (!json_is_object(claims)) {
        complain(&reading, "the token's payload is not a JSON object");
    } else {
        read_expiry(&reading);
        read_not_before(&reading);
        read_issuer(&reading);
        read_audience(&reading);
        read_subject(&reading);
        read_name(&reading);
        read_scope(&reading);
        read_grants(&reading);
    }
    enum err err = make_user(&reading, out, why);
    json_decref(claims);
    return err;
}
