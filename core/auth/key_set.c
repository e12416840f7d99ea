#include "core/auth/key_set.h"

#include <ctype.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "core/auth/jwk.h"
#include "core/base/log.h"
#include "core/base/mem.h"

struct key_set *key_set_create(void)
{
    struct key_set *set = mem_zalloc(sizeof *set);
    atomic_init(&set->refs, 1);
    return set;
}

struct key_set *key_set_retain(struct key_set *set)
{
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void key_set_release(struct key_set *set)
{
    if (set == NULL || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < set->count; i++)
        key_fini(&set->keys[i]);
    mem_free(set);
}

/* --- PEM --- */

static enum err refuse(char why[KEY_WHY_SIZE], const char *reason)
{
    snprintf(why, KEY_WHY_SIZE, "%s", reason);
    return ERR_INVALID;
}

static enum err too_many(char why[KEY_WHY_SIZE])
{
    return refuse(why, "it has more than 32 keys");
}

/* One block. Its name is what stands behind BEGIN. */
static enum err add_block(struct key_set *set, const char *name, struct slice der,
                          char why[KEY_WHY_SIZE])
{
    const unsigned char *bytes = (const unsigned char *)der.ptr, *end = bytes + der.len;
    EVP_PKEY *public_key = NULL;
    const char *reason = NULL;
    if (strstr(name, "PRIVATE KEY") != NULL)
        return refuse(why, "it has a private key; a service that checks tokens needs public ones");
    if (strcmp(name, "PUBLIC KEY") == 0)
        public_key = d2i_PUBKEY(NULL, &bytes, (long)der.len);
    else if (strcmp(name, "RSA PUBLIC KEY") == 0)
        public_key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &bytes, (long)der.len);
    else
        return refuse(why, "it has a PEM block that is no public key");
    if (public_key == NULL || bytes != end) {
        EVP_PKEY_free(public_key);
        return refuse(why, "it has a broken public key");
    }
    if (set->count == KEY_SET_MAX) {
        EVP_PKEY_free(public_key);
        return too_many(why);
    }
    if (key_init_public(&set->keys[set->count], public_key, &reason) != ERR_OK)
        return refuse(why, reason);
    set->count++;
    return ERR_OK;
}

static enum err add_blocks(struct key_set *set, BIO *bio, char why[KEY_WHY_SIZE])
{
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long len = 0;
    enum err err = ERR_OK;
    while (err == ERR_OK && PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
        err = add_block(set, name, slice_of(der, (size_t)len), why);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)len);
    }
    if (err != ERR_OK)
        return err;
    /* The end of the text shows as "no start line"; anything else is a broken block. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return refuse(why, "it has a broken PEM block");
    return set->count != 0 ? ERR_OK : refuse(why, "it has neither a PEM public key nor a JWKS");
}

static enum err add_pem(struct key_set *set, struct slice text, char why[KEY_WHY_SIZE])
{
    BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
    ERR_clear_error();
    enum err err = bio != NULL ? add_blocks(set, bio, why) : refuse(why, "out of memory");
    ERR_clear_error();
    BIO_free(bio);
    return err;
}

/* --- JWKS --- */

/* A key that is left out because it cannot be used. */
struct ignored {
    size_t number;      /* in the file, from 1 on */
    const char *kid;    /* the JWK's; NULL: none */
    const char *reason; /* a constant */
};

struct jwks_reading {
    struct key_set *set;
    size_t ignored_count;
    struct ignored ignored[KEY_SET_MAX]; /* the first ones: there may be thousands */
};

static void ignore(struct jwks_reading *reading, const struct ignored *ignored)
{
    reading->set->skipped++;
    if (reading->ignored_count < KEY_SET_MAX)
        reading->ignored[reading->ignored_count++] = *ignored;
}

static enum err refuse_key(char why[KEY_WHY_SIZE], size_t number, const char *reason)
{
    snprintf(why, KEY_WHY_SIZE, "key %zu of it: %s", number, reason);
    return ERR_INVALID;
}

static enum err add_jwk(struct jwks_reading *reading, const json_t *jwk, size_t number,
                        char why[KEY_WHY_SIZE])
{
    struct key key;
    struct key_set *set = reading->set;
    struct ignored ignored = {.number = number};
    enum jwk_result result = jwk_read(jwk, &key, &ignored.reason);
    ignored.kid = jwk_kid(jwk);
    if (result == JWK_REFUSED)
        return refuse_key(why, number, ignored.reason);
    if (result == JWK_SKIPPED)
        set->skipped++;
    if (result == JWK_UNUSABLE)
        ignore(reading, &ignored);
    if (result != JWK_OK)
        return ERR_OK;
    if (set->count == KEY_SET_MAX) {
        key_fini(&key);
        return too_many(why);
    }
    set->keys[set->count++] = key;
    return ERR_OK;
}

/* RFC 7517 5: keys that are not understood, or lack something, are no reason to do without the
 * others. Whose they are may be missed, so each is told. */
static enum err end_reading(const struct jwks_reading *reading, char why[KEY_WHY_SIZE])
{
    const struct ignored *ignored = reading->ignored;
    if (reading->set->count == 0 && reading->ignored_count == 0)
        return refuse(why, "none of its keys is for the algorithms taken here");
    if (reading->set->count == 0)
        return refuse_key(why, ignored->number, ignored->reason);
    for (size_t i = 0; i < reading->ignored_count; i++)
        log_warn("auth:key_ignored", log_uint("key", ignored[i].number),
                 log_str("kid", ignored[i].kid), log_str("reason", ignored[i].reason));
    return ERR_OK;
}

static enum err add_jwks(struct key_set *set, const json_t *jwks, char why[KEY_WHY_SIZE])
{
    const json_t *keys = json_object_get(jwks, "keys");
    struct jwks_reading reading = {.set = set};
    if (!json_is_array(keys))
        return refuse(why, "a JWKS is a JSON object with an array named keys");
    size_t index;
    const json_t *jwk;
    json_array_foreach(keys, index, jwk)
    {
        enum err err = add_jwk(&reading, jwk, index + 1, why);
        if (err != ERR_OK)
            return err;
    }
    return end_reading(&reading, why);
}

static enum err add_json(struct key_set *set, struct slice text, char why[KEY_WHY_SIZE])
{
    json_error_t error;
    /* Integers are of no concern here, however many bits they have. */
    json_t *jwks =
        json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    if (jwks == NULL)
        return refuse(why, "it is not valid JSON (or has a member twice)");
    enum err err = add_jwks(set, jwks, why);
    json_decref(jwks);
    return err;
}

enum err key_set_add_text(struct key_set *set, struct slice text, char why[KEY_WHY_SIZE])
{
    size_t blanks = 0;
    while (blanks < text.len && isspace((unsigned char)text.ptr[blanks]))
        blanks++;
    bool is_json = blanks < text.len && text.ptr[blanks] == '{';
    return is_json ? add_json(set, text, why) : add_pem(set, text, why);
}

/* --- signatures --- */

static bool has_kid(const struct key *key, struct slice kid)
{
    return key->kid != NULL && slice_equals_str(kid, key->kid);
}

static bool knows_kid(const struct key_set *set, struct slice kid)
{
    for (size_t i = 0; i < set->count; i++)
        if (has_kid(&set->keys[i], kid))
            return true;
    return false;
}

enum err key_set_verify(const struct key_set *set, const struct jws *jws, const char **why)
{
    bool known = jws->kid.ptr != NULL && knows_kid(set, jws->kid);
    *why = "no key fits the token's algorithm and kid";
    for (size_t i = 0; i < set->count; i++) {
        const struct key *key = &set->keys[i];
        bool fits = jws->kid.ptr == NULL || (known ? has_kid(key, jws->kid) : key->kid == NULL);
        if (!fits || (key->algs & alg_bit(jws->alg)) == 0)
            continue;
        if (key_verify(key, jws->alg, jws->signed_text, jws->signature))
            return ERR_OK;
        *why = "the token's signature is not good";
    }
    return ERR_INVALID;
}
