/*
 * A key goes through OpenSSL's own checks: what is put together here are the parameters that it
 * makes one from.
 */
#include "core/auth/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

#include "core/auth/base64url.h"
#include "core/auth/jws.h"
#include "core/base/mem.h"

enum {
    MEMBER_TEXT_MAX = 2048, /* of base64url: 12,288 bits */
    MEMBER_BYTES_MAX = MEMBER_TEXT_MAX,
    COORDINATE_MAX = 48, /* bytes: P-384 */
};

/* The bytes of a member in base64url. */
struct octets {
    size_t len;
    unsigned char bytes[MEMBER_BYTES_MAX];
};

static enum jwk_result unusable(const char **why, const char *reason)
{
    *why = reason;
    return JWK_UNUSABLE;
}

static enum jwk_result refused(const char **why, const char *reason)
{
    *why = reason;
    return JWK_REFUSED;
}

static const char *text_of(const json_t *jwk, const char *name)
{
    return json_string_value(json_object_get(jwk, name));
}

static bool is_text(const json_t *jwk, const char *name, const char *value)
{
    const char *text = text_of(jwk, name);
    return text != NULL && strcmp(text, value) == 0;
}

static bool read_octets(const json_t *jwk, const char *name, struct octets *out)
{
    const json_t *member = json_object_get(jwk, name);
    struct slice text = slice_of(json_string_value(member), json_string_length(member));
    return json_is_string(member) && text.len != 0 && text.len <= MEMBER_TEXT_MAX &&
           base64url_decode(text, out->bytes, &out->len);
}

/* --- kinds --- */

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *builder)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *made = NULL;
    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &made, EVP_PKEY_PUBLIC_KEY, params) != 1)
        made = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return made;
}

static EVP_PKEY *make_rsa(const json_t *jwk)
{
    struct octets octets;
    BIGNUM *n = NULL, *e = NULL;
    EVP_PKEY *made = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (read_octets(jwk, "n", &octets))
        n = BN_bin2bn(octets.bytes, (int)octets.len, NULL);
    if (read_octets(jwk, "e", &octets))
        e = BN_bin2bn(octets.bytes, (int)octets.len, NULL);
    if (builder != NULL && n != NULL && e != NULL &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        made = make_key("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return made;
}

/* RFC 7518 6.2.1.2: a coordinate has all its octets, leading zeros too. */
static EVP_PKEY *make_ec(const json_t *jwk, const char *group, size_t coordinate_bytes)
{
    struct octets x, y;
    unsigned char point[1 + 2 * COORDINATE_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    EVP_PKEY *made = NULL;
    if (!read_octets(jwk, "x", &x) || !read_octets(jwk, "y", &y) || x.len != coordinate_bytes ||
        y.len != coordinate_bytes)
        return NULL;
    memcpy(point + 1, x.bytes, x.len);
    memcpy(point + 1 + x.len, y.bytes, y.len);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                         1 + 2 * coordinate_bytes) == 1)
        made = make_key("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return made;
}

static EVP_PKEY *make_ed25519(const json_t *jwk)
{
    struct octets x;
    if (!read_octets(jwk, "x", &x))
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.bytes, x.len);
}

/* NULL, with the reason, when none can be made. */
static EVP_PKEY *make_public_key(const json_t *jwk, const char **why)
{
    bool is_ec = is_text(jwk, "kty", "EC"), is_okp = is_text(jwk, "kty", "OKP");
    *why = "its parameters are missing or make no key";
    if (is_text(jwk, "kty", "RSA"))
        return make_rsa(jwk);
    if (is_ec && is_text(jwk, "crv", "P-256"))
        return make_ec(jwk, SN_X9_62_prime256v1, 32);
    if (is_ec && is_text(jwk, "crv", "P-384"))
        return make_ec(jwk, SN_secp384r1, 48);
    if (is_okp && is_text(jwk, "crv", "Ed25519"))
        return make_ed25519(jwk);
    *why = is_ec || is_okp ? "its crv is none of P-256, P-384 and Ed25519"
                           : "its kty is none of RSA, EC and OKP";
    return NULL;
}

/* --- what it is for --- */

/* Everything that only the signer may have (RFC 7518 6.2.2, 6.3.2, 6.4.1, RFC 8037 2). */
static bool is_secret(const json_t *jwk)
{
    static const char *const names[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_object_get(jwk, names[i]) != NULL)
            return true;
    return is_text(jwk, "kty", "oct");
}

/* RFC 7517 4.2, 4.3: absent means that nothing is said against it. */
static bool is_for_signatures(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops");
    if (use != NULL && !is_text(jwk, "use", "sig"))
        return false;
    if (ops == NULL)
        return true;
    size_t index;
    const json_t *op;
    json_array_foreach(ops, index, op) if (json_is_string(op) && strcmp(json_string_value(op),
                                                                        "verify") == 0) return true;
    return false;
}

/* The algorithms that the JWK leaves to its key: all, or the one that it names. */
static unsigned allowed_algs(const json_t *jwk)
{
    enum alg alg;
    if (json_object_get(jwk, "alg") == NULL)
        return ~0U;
    return alg_parse(slice_str(text_of(jwk, "alg")), &alg) ? alg_bit(alg) : 0;
}

const char *jwk_kid(const json_t *jwk)
{
    const json_t *kid = json_object_get(jwk, "kid");
    return json_string_length(kid) <= JWS_KID_MAX ? json_string_value(kid) : NULL;
}

static enum jwk_result read_kid(const json_t *jwk, struct key *key, const char **why)
{
    const char *kid = jwk_kid(jwk);
    if (kid == NULL && json_object_get(jwk, "kid") != NULL) {
        key_fini(key);
        return unusable(why, "a kid must be a string of at most 256 bytes");
    }
    key->kid = kid != NULL ? mem_strdup(kid) : NULL;
    return JWK_OK;
}

enum jwk_result jwk_read(const json_t *jwk, struct key *out, const char **why)
{
    if (!json_is_object(jwk))
        return refused(why, "a key is a JSON object");
    if (is_secret(jwk))
        return refused(why, "a private or secret key; only public keys belong here");
    if (!is_for_signatures(jwk))
        return JWK_SKIPPED;
    EVP_PKEY *public_key = make_public_key(jwk, why);
    if (public_key == NULL || key_init_public(out, public_key, why) != ERR_OK)
        return JWK_UNUSABLE;
    out->algs &= allowed_algs(jwk);
    if (out->algs != 0)
        return read_kid(jwk, out, why);
    key_fini(out);
    return JWK_SKIPPED;
}
