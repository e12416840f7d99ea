#include "core/auth/key_set.h"

#include <CUnit/CUnit.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "core/base/log.h"
#include "tests/support/capture.h"
#include "tests/support/jwt.h"

enum { TEXT_MAX = 64 * 1024 };

static enum err load(struct slice text, struct key_set **out, char why[KEY_WHY_SIZE])
{
    struct key_set *set = key_set_create();
    *why = '\0';
    enum err err = key_set_add_text(set, text, why);
    CU_ASSERT_EQUAL(err == ERR_OK, *why == '\0');
    if (out != NULL)
        *out = key_set_retain(set);
    key_set_release(set);
    return err;
}

static enum err load_text(const char *text)
{
    char why[KEY_WHY_SIZE];
    return load(slice_str(text), NULL, why);
}

/* A set of one JWK. */
static enum err load_jwk(EVP_PKEY *key, const char *more, struct key_set **out)
{
    char why[KEY_WHY_SIZE];
    struct buf text;
    buf_init(&text, TEXT_MAX);
    buf_append_str(&text, "{\"keys\":[");
    jwt_append_jwk(&text, key, more);
    buf_append_str(&text, "]}");
    enum err err = load(buf_slice(&text), out, why);
    buf_fini(&text);
    return err;
}

static enum err verify(const struct key_set *set, struct slice token)
{
    struct jws jws;
    const char *why = NULL;
    CU_ASSERT_EQUAL_FATAL(jws_parse(token, &jws, &why), ERR_OK);
    enum err err = key_set_verify(set, &jws, &why);
    CU_ASSERT_TRUE(err == ERR_OK || why != NULL);
    return err;
}

/* Whether the set takes a token with this header that the key has signed by `alg`. */
static bool takes(const struct key_set *set, enum alg alg, EVP_PKEY *key, const char *header)
{
    struct buf token;
    buf_init(&token, TEXT_MAX);
    jwt_append(&token, alg, key, header, "{\"sub\":\"anna\"}");
    bool good = verify(set, buf_slice(&token)) == ERR_OK;
    buf_fini(&token);
    return good;
}

static bool takes_alg(const struct key_set *set, enum alg alg, EVP_PKEY *key)
{
    char header[64];
    snprintf(header, sizeof header, "{\"alg\":\"%s\"}", alg_info(alg)->name);
    return takes(set, alg, key, header);
}

static struct key_set *set_of_pem(EVP_PKEY *key)
{
    struct key_set *set;
    char why[KEY_WHY_SIZE];
    struct buf text;
    buf_init(&text, TEXT_MAX);
    jwt_append_pem(&text, key);
    CU_ASSERT_EQUAL_FATAL(load(buf_slice(&text), &set, why), ERR_OK);
    buf_fini(&text);
    return set;
}

static struct key_set *set_of_secret(void)
{
    struct key_set *set = key_set_create();
    key_init_secret(&set->keys[set->count++], slice_str(JWT_SECRET));
    return set;
}

/* The algorithms that a key of this one's kind takes. */
static bool same_kind(enum alg a, enum alg b)
{
    enum alg_kind x = alg_info(a)->kind, y = alg_info(b)->kind;
    if (x == ALG_ECDSA || y == ALG_ECDSA)
        return a == b;
    return x == y || (x == ALG_RSA && y == ALG_RSA_PSS) || (x == ALG_RSA_PSS && y == ALG_RSA);
}

static void each_key_takes_its_own_algorithms(void)
{
    static const enum alg kinds[] = {ALG_RS256, ALG_ES256, ALG_ES384, ALG_EDDSA};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        EVP_PKEY *key = jwt_make_key(kinds[i]);
        struct key_set *pem = set_of_pem(key), *jwks;
        CU_ASSERT_EQUAL_FATAL(load_jwk(key, "", &jwks), ERR_OK);
        for (int alg = 0; alg < ALGS; alg++) {
            if (!same_kind(kinds[i], (enum alg)alg))
                continue;
            CU_ASSERT_TRUE(takes_alg(pem, (enum alg)alg, key));
            CU_ASSERT_TRUE(takes_alg(jwks, (enum alg)alg, key));
        }
        key_set_release(pem);
        key_set_release(jwks);
        EVP_PKEY_free(key);
    }
    struct key_set *secret = set_of_secret();
    CU_ASSERT_TRUE(takes_alg(secret, ALG_HS256, NULL));
    CU_ASSERT_TRUE(takes_alg(secret, ALG_HS384, NULL));
    CU_ASSERT_TRUE(takes_alg(secret, ALG_HS512, NULL));
    key_set_release(secret);
}

/* A signature that is good, under a header that names another algorithm. */
static void the_header_cannot_choose_another_algorithm(void)
{
    for (int signer = 0; signer < ALGS; signer++) {
        EVP_PKEY *key = jwt_make_key((enum alg)signer);
        struct key_set *set = key != NULL ? set_of_pem(key) : set_of_secret();
        for (int named = 0; named < ALGS; named++) {
            char header[64];
            snprintf(header, sizeof header, "{\"alg\":\"%s\"}", alg_info((enum alg)named)->name);
            if (takes(set, (enum alg)signer, key, header) != (named == signer))
                CU_FAIL(header);
        }
        key_set_release(set);
        EVP_PKEY_free(key);
    }
}

static void a_changed_bit_breaks_the_signature(void)
{
    static const enum alg algs[] = {ALG_HS256, ALG_RS256, ALG_PS256, ALG_ES256, ALG_EDDSA};
    for (size_t i = 0; i < sizeof algs / sizeof *algs; i++) {
        EVP_PKEY *key = jwt_make_key(algs[i]);
        struct key_set *set = key != NULL ? set_of_pem(key) : set_of_secret();
        struct buf signature;
        char text[] = "what is signed";
        struct slice signed_text = slice_str(text);
        buf_init(&signature, TEXT_MAX);
        jwt_append_signature(&signature, algs[i], key, signed_text);
        CU_ASSERT_TRUE(key_verify(&set->keys[0], algs[i], signed_text, buf_slice(&signature)));
        for (size_t at = 0; at < signature.len; at++) {
            signature.ptr[at] ^= (char)(1 << at % 8);
            CU_ASSERT_FALSE(key_verify(&set->keys[0], algs[i], signed_text, buf_slice(&signature)));
            signature.ptr[at] ^= (char)(1 << at % 8);
        }
        for (size_t len = 0; len < signature.len; len++)
            CU_ASSERT_FALSE(
                key_verify(&set->keys[0], algs[i], signed_text, slice_of(signature.ptr, len)));
        text[3] ^= 1;
        CU_ASSERT_FALSE(key_verify(&set->keys[0], algs[i], signed_text, buf_slice(&signature)));
        buf_append_char(&signature, '\0');
        text[3] ^= 1;
        CU_ASSERT_FALSE(key_verify(&set->keys[0], algs[i], signed_text, buf_slice(&signature)));
        buf_fini(&signature);
        key_set_release(set);
        EVP_PKEY_free(key);
    }
}

static void ecdsa_numbers_of_zero_or_over_the_order_are_refused(void)
{
    EVP_PKEY *key = jwt_make_key(ALG_ES256);
    struct key_set *set = set_of_pem(key);
    struct slice text = slice_str("text");
    unsigned char zeros[64] = {0}, ones[64], mixed[64] = {0};
    memset(ones, 0xFF, sizeof ones);
    memset(mixed, 1, 32);
    CU_ASSERT_FALSE(key_verify(&set->keys[0], ALG_ES256, text, slice_of(zeros, 64)));
    CU_ASSERT_FALSE(key_verify(&set->keys[0], ALG_ES256, text, slice_of(ones, 64)));
    CU_ASSERT_FALSE(key_verify(&set->keys[0], ALG_ES256, text, slice_of(mixed, 64)));
    CU_ASSERT_FALSE(key_verify(&set->keys[0], ALG_ES256, text, slice_of(mixed + 32, 32)));
    key_set_release(set);
    EVP_PKEY_free(key);
}

static void kid_picks_the_key(void)
{
    EVP_PKEY *a = jwt_make_key(ALG_EDDSA), *b = jwt_make_key(ALG_EDDSA);
    EVP_PKEY *plain = jwt_make_key(ALG_EDDSA);
    struct key_set *set;
    char why[KEY_WHY_SIZE];
    struct buf text;
    buf_init(&text, TEXT_MAX);
    buf_append_str(&text, "{\"keys\":[");
    jwt_append_jwk(&text, a, ",\"kid\":\"a\"");
    buf_append_str(&text, ",");
    jwt_append_jwk(&text, b, ",\"kid\":\"b\"");
    buf_append_str(&text, ",");
    jwt_append_jwk(&text, plain, "");
    buf_append_str(&text, "]}");
    CU_ASSERT_EQUAL_FATAL(load(buf_slice(&text), &set, why), ERR_OK);
    CU_ASSERT_TRUE(takes(set, ALG_EDDSA, a, "{\"alg\":\"EdDSA\",\"kid\":\"a\"}"));
    CU_ASSERT_TRUE(takes(set, ALG_EDDSA, b, "{\"alg\":\"EdDSA\",\"kid\":\"b\"}"));
    CU_ASSERT_FALSE(takes(set, ALG_EDDSA, a, "{\"alg\":\"EdDSA\",\"kid\":\"b\"}"));
    CU_ASSERT_FALSE(takes(set, ALG_EDDSA, plain, "{\"alg\":\"EdDSA\",\"kid\":\"a\"}"));
    CU_ASSERT_FALSE(takes(set, ALG_EDDSA, a, "{\"alg\":\"EdDSA\",\"kid\":\"A\"}"));
    CU_ASSERT_FALSE(takes(set, ALG_EDDSA, a, "{\"alg\":\"EdDSA\",\"kid\":\"\"}"));
    CU_ASSERT_TRUE(takes(set, ALG_EDDSA, plain, "{\"alg\":\"EdDSA\",\"kid\":\"c\"}"));
    CU_ASSERT_TRUE(takes(set, ALG_EDDSA, a, "{\"alg\":\"EdDSA\"}"));
    CU_ASSERT_TRUE(takes(set, ALG_EDDSA, b, "{\"alg\":\"EdDSA\"}"));
    CU_ASSERT_TRUE(takes(set, ALG_EDDSA, plain, "{\"alg\":\"EdDSA\"}"));
    key_set_release(set);
    buf_fini(&text);
    EVP_PKEY_free(a);
    EVP_PKEY_free(b);
    EVP_PKEY_free(plain);
}

static void a_jwk_may_narrow_its_algorithms(void)
{
    EVP_PKEY *key = jwt_make_key(ALG_RS256);
    struct key_set *set;
    CU_ASSERT_EQUAL_FATAL(load_jwk(key, ",\"alg\":\"PS256\",\"use\":\"sig\"", &set), ERR_OK);
    CU_ASSERT_TRUE(takes_alg(set, ALG_PS256, key));
    CU_ASSERT_FALSE(takes_alg(set, ALG_RS256, key));
    key_set_release(set);
    CU_ASSERT_EQUAL(load_jwk(key, ",\"key_ops\":[\"verify\"]", NULL), ERR_OK);
    static const char *const skipped[] = {",\"alg\":\"ES256\"", ",\"alg\":\"HS256\"",
                                          ",\"alg\":\"none\"",  ",\"alg\":\"RSA-OAEP\"",
                                          ",\"alg\":1",         ",\"use\":\"enc\"",
                                          ",\"use\":1",         ",\"key_ops\":[\"encrypt\"]",
                                          ",\"key_ops\":[]",    ",\"key_ops\":\"verify\""};
    for (size_t i = 0; i < sizeof skipped / sizeof *skipped; i++)
        if (load_jwk(key, skipped[i], NULL) != ERR_INVALID)
            CU_FAIL(skipped[i]);
    EVP_PKEY_free(key);
}

static void keys_for_something_else_are_skipped_beside_good_ones(void)
{
    EVP_PKEY *key = jwt_make_key(ALG_ES384);
    struct key_set *set;
    char why[KEY_WHY_SIZE];
    struct buf text;
    buf_init(&text, TEXT_MAX);
    buf_append_str(&text,
                   "\n {\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"},"
                   "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"},{\"kty\":\"new\"},");
    jwt_append_jwk(&text, key,
                   ",\"alg\":\"ES384\",\"x5c\":[\"AA\"],\"serial\":18446744073709551616");
    buf_append_str(&text, "],\"more\":1}\n");
    CU_ASSERT_EQUAL_FATAL(load(buf_slice(&text), &set, why), ERR_OK);
    CU_ASSERT_EQUAL(set->count, 1);
    CU_ASSERT_EQUAL(set->skipped, 3);
    CU_ASSERT_TRUE(takes_alg(set, ALG_ES384, key));
    key_set_release(set);
    buf_fini(&text);
    EVP_PKEY_free(key);
}

/* One of these beside a good one. */
static enum err load_beside(EVP_PKEY *good, const char *other, struct key_set **out)
{
    char why[KEY_WHY_SIZE];
    struct buf text;
    log_open(LOG_INFO); /* what is ignored is told in the log */
    buf_init(&text, TEXT_MAX);
    buf_append_str(&text, "{\"keys\":[");
    buf_append_str(&text, other);
    buf_append_char(&text, ',');
    jwt_append_jwk(&text, good, ",\"kid\":\"good\"");
    buf_append_str(&text, "]}");
    enum err err = load(buf_slice(&text), out, why);
    buf_fini(&text);
    return err;
}

static size_t count_lines(const char *log, const char *event)
{
    size_t count = 0;
    for (const char *at = log; (at = strstr(at, event)) != NULL; at++)
        count++;
    return count;
}

/* RFC 7517 5. */
static void keys_that_cannot_be_used_are_ignored_beside_good_ones(void)
{
    static const char *const rows[][2] = {
        {"{\"kid\":\"odd\"}", "kty"},
        {"{\"kid\":\"odd\",\"kty\":1}", "kty"},
        {"{\"kid\":\"odd\",\"kty\":\"new\"}", "kty"},
        {"{\"kid\":\"odd\",\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\"}", "crv"},
        {"{\"kid\":\"odd\",\"kty\":\"EC\"}", "crv"},
        {"{\"kid\":\"odd\",\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"AA\"}", "crv"},
        {"{\"kid\":\"odd\",\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"AQAB\"}", "2048"},
        {"{\"kid\":\"odd\",\"kty\":\"RSA\",\"n\":\"AQ\"}", "parameters"},
        {"{\"kid\":\"odd\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}",
         "parameters"},
        {"{\"kid\":\"odd\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"MATERIAL\"}", "parameters"},
    };
    EVP_PKEY *good = jwt_make_key(ALG_ES256);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct key_set *set;
        struct capture capture;
        capture_begin(&capture);
        enum err err = load_beside(good, rows[i][0], &set);
        capture_end(&capture);
        CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
        CU_ASSERT_EQUAL(set->count, 1);
        CU_ASSERT_EQUAL(set->skipped, 1);
        CU_ASSERT_TRUE(takes(set, ALG_ES256, good, "{\"alg\":\"ES256\",\"kid\":\"good\"}"));
        if (count_lines(capture.text, "auth:key_ignored") != 1 ||
            strstr(capture.text, "\"kid\":\"odd\"") == NULL ||
            strstr(capture.text, rows[i][1]) == NULL || strstr(capture.text, "MATERIAL") != NULL)
            CU_FAIL(rows[i][0]);
        capture_fini(&capture);
        key_set_release(set);
    }
    EVP_PKEY_free(good);
}

static void a_bad_kid_is_not_named(void)
{
    char json[512], kid[JWS_KID_MAX + 2] = "";
    memset(kid, 'k', JWS_KID_MAX + 1);
    EVP_PKEY *good = jwt_make_key(ALG_ES256);
    struct buf other;
    struct capture capture;
    struct key_set *set;
    buf_init(&other, TEXT_MAX);
    snprintf(json, sizeof json, ",\"kid\":\"%s\"", kid);
    jwt_append_jwk(&other, good, json);
    buf_append_char(&other, '\0');
    capture_begin(&capture);
    enum err err = load_beside(good, other.ptr, &set);
    capture_end(&capture);
    CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
    CU_ASSERT_EQUAL(set->count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, "a kid must be"));
    CU_ASSERT_PTR_NULL(strstr(capture.text, "kkkk"));
    capture_fini(&capture);
    key_set_release(set);
    buf_fini(&other);
    EVP_PKEY_free(good);
}

/* However many there are, they cost no more lines than a file has keys, and none when it is refused
 * for want of a good one. */
static void ignored_keys_are_named_up_to_a_bound(void)
{
    EVP_PKEY *good = jwt_make_key(ALG_ES256);
    struct buf others;
    struct capture capture;
    struct key_set *set;
    char why[KEY_WHY_SIZE];
    buf_init(&others, TEXT_MAX);
    for (size_t i = 0; i < KEY_SET_MAX + 10; i++)
        buf_printf(&others, "%s{\"kty\":\"new\"}", i != 0 ? "," : "");
    buf_append_char(&others, '\0');
    capture_begin(&capture);
    enum err err = load_beside(good, others.ptr, &set);
    capture_end(&capture);
    CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
    CU_ASSERT_EQUAL(set->skipped, KEY_SET_MAX + 10);
    CU_ASSERT_EQUAL(count_lines(capture.text, "auth:key_ignored"), KEY_SET_MAX);
    capture_fini(&capture);
    key_set_release(set);
    capture_begin(&capture);
    err = load(slice_str("{\"keys\":[{\"kty\":\"RSA\"},{\"kty\":\"new\"}]}"), NULL, why);
    capture_end(&capture);
    CU_ASSERT_EQUAL(err, ERR_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "key 1 of it: its parameters"));
    CU_ASSERT_STRING_EQUAL(capture.text, "");
    capture_fini(&capture);
    buf_fini(&others);
    EVP_PKEY_free(good);
}

/* A file that they got into is in danger of being read by others than its owner. */
static void secrets_and_private_keys_are_refused_beside_good_ones(void)
{
    static const char *const rows[] = {
        "1",
        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "{\"kty\":\"new\",\"d\":\"AA\"}",
        "{\"d\":\"AA\"}",
    };
    EVP_PKEY *good = jwt_make_key(ALG_ES256);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (load_beside(good, rows[i], NULL) != ERR_INVALID)
            CU_FAIL(rows[i]);
    EVP_PKEY_free(good);
}

static void secrets_and_private_keys_are_refused(void)
{
    EVP_PKEY *key = jwt_make_key(ALG_ES256);
    static const char *const members[] = {",\"d\":\"AA\"", ",\"p\":\"AA\"", ",\"k\":\"AA\"",
                                          ",\"d\":null"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (load_jwk(key, members[i], NULL) != ERR_INVALID)
            CU_FAIL(members[i]);
    CU_ASSERT_EQUAL(load_text("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}"), ERR_INVALID);
    CU_ASSERT_EQUAL(load_text("{\"keys\":[{\"kty\":\"oct\"}]}"), ERR_INVALID);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL, why[KEY_WHY_SIZE];
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    long len = BIO_get_mem_data(bio, &text);
    CU_ASSERT_EQUAL(load(slice_of(text, (size_t)len), NULL, why), ERR_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "private"));
    BIO_free(bio);
    EVP_PKEY_free(key);
}

static void broken_keys_are_refused(void)
{
    static const char *const rows[] = {
        "",
        " \n",
        "what is this",
        "{",
        "{}",
        "[]",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[1]}",
        "{\"keys\":[{}]}",
        "{\"keys\":[],\"keys\":[]}",
        "{\"kty\":\"RSA\"}",
        "{\"keys\":[{\"kty\":\"RSA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"!!\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}]}",
        "-----BEGIN PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (load_text(rows[i]) != ERR_INVALID)
            CU_FAIL(rows[i]);
}

static void points_off_the_curve_are_refused(void)
{
    char zeros[44] = "", json[256];
    memset(zeros, 'A', 43);
    snprintf(json, sizeof json,
             "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}]}", zeros,
             zeros);
    CU_ASSERT_EQUAL(load_text(json), ERR_INVALID);
}

static void rsa_keys_have_2048_bits_and_a_sound_exponent(void)
{
    char why[KEY_WHY_SIZE];
    EVP_PKEY *small = jwt_make_rsa_key(1024), *good = jwt_make_rsa_key(2048);
    struct buf text;
    CU_ASSERT_EQUAL(load_jwk(small, "", NULL), ERR_INVALID);
    buf_init(&text, TEXT_MAX);
    jwt_append_pem(&text, small);
    CU_ASSERT_EQUAL(load(buf_slice(&text), NULL, why), ERR_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "2048"));
    static const char *const exponents[] = {"AQ", "Ag", "AA", "AQAA"};
    for (size_t i = 0; i < sizeof exponents / sizeof *exponents; i++) {
        buf_clear(&text);
        buf_append_str(&text, "{\"keys\":[");
        jwt_append_jwk(&text, good, "");
        char *e = strstr(text.ptr, "\"e\":\"");
        text.len = (size_t)(e - text.ptr);
        buf_printf(&text, "\"e\":\"%s\"}]}", exponents[i]);
        CU_ASSERT_EQUAL(load(buf_slice(&text), NULL, why), ERR_INVALID);
    }
    buf_fini(&text);
    EVP_PKEY_free(small);
    EVP_PKEY_free(good);
}

static void a_pem_file_may_have_several_keys(void)
{
    EVP_PKEY *a = jwt_make_key(ALG_ES256), *b = jwt_make_key(ALG_RS256);
    struct key_set *set;
    char why[KEY_WHY_SIZE];
    struct buf text;
    buf_init(&text, TEXT_MAX);
    buf_append_str(&text, "the old one\n");
    jwt_append_pem(&text, a);
    buf_append_str(&text, "\nthe new one\n");
    jwt_append_pem(&text, b);
    CU_ASSERT_EQUAL_FATAL(load(buf_slice(&text), &set, why), ERR_OK);
    CU_ASSERT_EQUAL(set->count, 2);
    CU_ASSERT_TRUE(takes_alg(set, ALG_ES256, a));
    CU_ASSERT_TRUE(takes_alg(set, ALG_RS512, b));
    CU_ASSERT_TRUE(takes(set, ALG_RS256, b, "{\"alg\":\"RS256\",\"kid\":\"any\"}"));
    key_set_release(set);
    text.len -= 10;
    CU_ASSERT_EQUAL(load(buf_slice(&text), NULL, why), ERR_INVALID);
    buf_fini(&text);
    EVP_PKEY_free(a);
    EVP_PKEY_free(b);
}

static void files_have_at_most_32_keys(void)
{
    EVP_PKEY *key = jwt_make_key(ALG_EDDSA);
    struct buf pem, jwks;
    char why[KEY_WHY_SIZE];
    buf_init(&pem, TEXT_MAX);
    buf_init(&jwks, TEXT_MAX);
    buf_append_str(&jwks, "{\"keys\":[");
    for (size_t count = 1; count <= KEY_SET_MAX + 1; count++) {
        jwt_append_pem(&pem, key);
        jwt_append_jwk(&jwks, key, "");
        buf_append_str(&jwks, "]}");
        enum err expected = count <= KEY_SET_MAX ? ERR_OK : ERR_INVALID;
        CU_ASSERT_EQUAL(load(buf_slice(&pem), NULL, why), expected);
        CU_ASSERT_EQUAL(load(buf_slice(&jwks), NULL, why), expected);
        jwks.len -= 2;
        buf_append_str(&jwks, ",");
    }
    buf_fini(&pem);
    buf_fini(&jwks);
    EVP_PKEY_free(key);
}

/* The classic: an HMAC made with the public key's text as the secret. */
static void a_public_key_is_never_a_secret(void)
{
    EVP_PKEY *key = jwt_make_key(ALG_RS256);
    struct key_set *set = set_of_pem(key);
    CU_ASSERT_EQUAL(
        set->keys[0].algs & (alg_bit(ALG_HS256) | alg_bit(ALG_HS384) | alg_bit(ALG_HS512)), 0);
    CU_ASSERT_FALSE(takes_alg(set, ALG_HS256, NULL));
    CU_ASSERT_PTR_NULL(set->keys[0].secret);
    key_set_release(set);
    EVP_PKEY_free(key);
}

CU_TestInfo key_set_tests[] = {
    {"each_key_takes_its_own_algorithms", each_key_takes_its_own_algorithms},
    {"the_header_cannot_choose_another_algorithm", the_header_cannot_choose_another_algorithm},
    {"a_changed_bit_breaks_the_signature", a_changed_bit_breaks_the_signature},
    {"ecdsa_numbers_of_zero_or_over_the_order_are_refused",
     ecdsa_numbers_of_zero_or_over_the_order_are_refused},
    {"kid_picks_the_key", kid_picks_the_key},
    {"a_jwk_may_narrow_its_algorithms", a_jwk_may_narrow_its_algorithms},
    {"keys_for_something_else_are_skipped_beside_good_ones",
     keys_for_something_else_are_skipped_beside_good_ones},
    {"keys_that_cannot_be_used_are_ignored_beside_good_ones",
     keys_that_cannot_be_used_are_ignored_beside_good_ones},
    {"a_bad_kid_is_not_named", a_bad_kid_is_not_named},
    {"ignored_keys_are_named_up_to_a_bound", ignored_keys_are_named_up_to_a_bound},
    {"secrets_and_private_keys_are_refused", secrets_and_private_keys_are_refused},
    {"secrets_and_private_keys_are_refused_beside_good_ones",
     secrets_and_private_keys_are_refused_beside_good_ones},
    {"broken_keys_are_refused", broken_keys_are_refused},
    {"points_off_the_curve_are_refused", points_off_the_curve_are_refused},
    {"rsa_keys_have_2048_bits_and_a_sound_exponent", rsa_keys_have_2048_bits_and_a_sound_exponent},
    {"a_pem_file_may_have_several_keys", a_pem_file_may_have_several_keys},
    {"files_have_at_most_32_keys", files_have_at_most_32_keys},
    {"a_public_key_is_never_a_secret", a_public_key_is_never_a_secret},
    CU_TEST_INFO_NULL,
};
