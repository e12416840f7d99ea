/*
 * Input: a letter, and what it is for.
 *
 *     t   a token: taken apart and checked with keys of each kind. What is taken has one way only
 * to be written, and nothing but the tokens of the corpus is good. c   the payload of a token whose
 * signature was good. A user that comes of it has a name that rooms may have, an expiry that lies
 * ahead, and no way into the rooms of other users. k   a file of keys. g   a pattern, a newline, a
 * room: compared with the obvious definition.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/auth/claims.h"
#include "core/auth/glob.h"
#include "core/auth/key_set.h"
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "tests/support/base64url.h"

enum { LONGEST_INPUT = 16384, LONGEST_TEXT = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- tokens --- */

/* Of RFC 7515 A.3 and RFC 8037 A.2. */
static const char keys_text[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"ec\","
                                "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
                                "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                                "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

static const struct key_set *fixed_keys(void)
{
    static struct key_set *set;
    char why[KEY_WHY_SIZE];
    if (set != NULL)
        return set;
    set = key_set_create();
    enum err err = key_set_add_text(set, slice_str(keys_text), why);
    assert(err == ERR_OK);
    (void)err;
    key_init_secret(&set->keys[set->count++], slice_str("a secret of more than thirty-two bytes"));
    return set;
}

/* Payload and signature written again give the token's own text. */
static void check_one_way(struct slice token, const struct jws *jws)
{
    struct buf again;
    const char *dot = memchr(token.ptr, '.', token.len);
    buf_init(&again, LONGEST_INPUT);
    buf_append(&again, token.ptr, (size_t)(dot - token.ptr) + 1);
    base64url_append(&again, jws->payload);
    assert(slice_equals(buf_slice(&again), jws->signed_text));
    buf_append_char(&again, '.');
    base64url_append(&again, jws->signature);
    assert(slice_equals(buf_slice(&again), token));
    buf_fini(&again);
}

static void check_token(struct slice token)
{
    struct jws jws;
    const char *why = NULL;
    enum err err = jws_parse(token, &jws, &why);
    assert((err == ERR_OK) == (why == NULL));
    if (err != ERR_OK)
        return;
    check_one_way(token, &jws);
    err = key_set_verify(fixed_keys(), &jws, &why);
    assert(err == ERR_OK || why != NULL);
    assert(err != ERR_OK || slice_equals_str(jws.payload, "{\"sub\":\"anna\",\"exp\":4102444800}"));
}

/* --- claims --- */

static void check_rights(const struct user *user)
{
    struct buf room;
    buf_init(&room, LONGEST_INPUT);
    buf_append_str(&room, USER_ROOM_PREFIX);
    buf_append_slice(&room, user->id);
    assert(room.len <= 128);
    assert(user_may_join(user, buf_slice(&room)));
    assert(!user_may_publish(user, buf_slice(&room)));
    buf_append_char(&room, 'x');
    assert(!user_may_join(user, buf_slice(&room)) && !user_may_publish(user, buf_slice(&room)));
    for (size_t i = 0; i < user->grants_count; i++) {
        /* A pattern stands for itself. */
        struct slice pattern = user->grants[i].pattern;
        assert(glob_matches(pattern, pattern));
        bool is_users = slice_starts_with(pattern, slice_str(USER_ROOM_PREFIX));
        assert(is_users || (user->grants[i].can & USER_JOIN) == 0 || user_may_join(user, pattern));
    }
    buf_fini(&room);
}

static void check_claims(struct slice json)
{
    struct claims_opts opts = {.now_ms = 1700000000000, .issuer = "i", .audience = "a"};
    struct user *user = NULL;
    const char *why = NULL;
    enum err strict = claims_read(json, &opts, &user, &why);
    assert((strict == ERR_OK) == (user != NULL) && (strict == ERR_OK) == (why == NULL));
    user_release(user);
    opts.issuer = opts.audience = NULL;
    enum err err = claims_read(json, &opts, &user, &why);
    assert(strict != ERR_OK || err == ERR_OK);
    if (err != ERR_OK)
        return;
    assert(user_check_id(user->id) == NULL);
    assert(user->expires_ms + USER_LEEWAY_MS > opts.now_ms);
    assert(user->name.len <= USER_NAME_MAX && utf8_is_valid(user->name.ptr, user->name.len));
    check_rights(user);
    user_release(user);
}

/* --- keys and patterns --- */

/* Many keys of a file may be ignored, each with a line that nobody reads. */
static void silence_log(void)
{
    static bool is_silent;
    if (!is_silent)
        log_open(LOG_ERROR);
    is_silent = true;
}

static void check_keys(struct slice text)
{
    char why[KEY_WHY_SIZE] = "";
    silence_log();
    struct key_set *set = key_set_create();
    enum err err = key_set_add_text(set, text, why);
    assert(err == ERR_OK ? set->count != 0 : *why != '\0');
    for (size_t i = 0; i < set->count; i++)
        assert(set->keys[i].algs != 0 && set->keys[i].secret == NULL);
    key_set_release(set);
}

static bool matches_slowly(struct slice pattern, struct slice text)
{
    bool at[LONGEST_TEXT + 1] = {
        true}; /* which lengths of the text the pattern so far stands for */
    for (size_t p = 0; p < pattern.len; p++) {
        bool next[LONGEST_TEXT + 1] = {false};
        for (size_t i = 0; i <= text.len; i++) {
            if (pattern.ptr[p] == '*')
                next[i] = at[i] || (i > 0 && next[i - 1]);
            else
                next[i] = i > 0 && at[i - 1] && text.ptr[i - 1] == pattern.ptr[p];
        }
        memcpy(at, next, sizeof at);
    }
    return at[text.len];
}

static void check_glob(struct slice input)
{
    const char *end = input.len != 0 ? memchr(input.ptr, '\n', input.len) : NULL;
    if (end == NULL)
        return;
    struct slice pattern = slice_of(input.ptr, (size_t)(end - input.ptr));
    struct slice text = slice_skip(input, pattern.len + 1);
    if (text.len <= LONGEST_TEXT && pattern.len <= LONGEST_TEXT)
        assert(glob_matches(pattern, text) == matches_slowly(pattern, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > LONGEST_INPUT)
        return 0;
    struct slice rest = slice_of(data + 1, size - 1);
    switch (data[0]) {
    case 't':
        check_token(rest);
        break;
    case 'c':
        check_claims(rest);
        break;
    case 'k':
        check_keys(rest);
        break;
    case 'g':
        check_glob(rest);
        break;
    default:
        break;
    }
    return 0;
}
