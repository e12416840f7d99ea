#include "core/auth/key.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "core/base/mem.h"

enum {
    GROUP_NAME_SIZE = 64,
    DER_SIGNATURE_MAX = 128, /* two integers of 49 bytes, their heads and the sequence's */
};

void key_init_secret(struct key *key, struct slice secret)
{
    *key = (struct key){.algs = alg_bit(ALG_HS256) | alg_bit(ALG_HS384) | alg_bit(ALG_HS512),
                        .secret = mem_zalloc(secret.len + 1),
                        .secret_len = secret.len};
    memcpy(key->secret, secret.ptr, secret.len);
}

/* --- what an OpenSSL key is good for --- */

static unsigned algs_of_group(const EVP_PKEY *public_key)
{
    char group[GROUP_NAME_SIZE];
    if (EVP_PKEY_get_group_name(public_key, group, sizeof group, NULL) != 1)
        return 0;
    if (strcmp(group, SN_X9_62_prime256v1) == 0)
        return alg_bit(ALG_ES256);
    return strcmp(group, SN_secp384r1) == 0 ? alg_bit(ALG_ES384) : 0;
}

/* An exponent of 1 or an even one would let anybody sign. */
static bool has_sound_exponent(const EVP_PKEY *public_key)
{
    BIGNUM *exponent = NULL;
    bool sound = EVP_PKEY_get_bn_param(public_key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
                 BN_is_odd(exponent) && !BN_is_one(exponent);
    BN_free(exponent);
    return sound;
}

static unsigned algs_of(const EVP_PKEY *public_key, const char **why)
{
    int bits = EVP_PKEY_get_bits(public_key);
    *why = "only RSA, EC (P-256, P-384) and Ed25519 keys are taken";
    switch (EVP_PKEY_get_base_id(public_key)) {
    case EVP_PKEY_RSA:
        *why = "an RSA key must have 2048 to 8192 bits and an odd exponent over 1";
        if (bits < KEY_RSA_BITS_MIN || bits > KEY_RSA_BITS_MAX || !has_sound_exponent(public_key))
            return 0;
        return alg_bit(ALG_RS256) | alg_bit(ALG_RS384) | alg_bit(ALG_RS512) | alg_bit(ALG_PS256);
    case EVP_PKEY_EC:
        return algs_of_group(public_key);
    case EVP_PKEY_ED25519:
        return alg_bit(ALG_EDDSA);
    default:
        return 0;
    }
}

/* Whether an EC key is a point of its curve; the others have nothing to be checked. */
static bool is_sound(EVP_PKEY *public_key)
{
    if (EVP_PKEY_get_base_id(public_key) != EVP_PKEY_EC)
        return true;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(public_key, NULL);
    bool sound = context != NULL && EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return sound;
}

enum err key_init_public(struct key *key, EVP_PKEY *public_key, const char **why)
{
    *key = (struct key){.public_key = public_key, .algs = algs_of(public_key, why)};
    if (key->algs != 0 && !is_sound(public_key)) {
        *why = "its point is not on its curve";
        key->algs = 0;
    }
    if (key->algs != 0)
        return ERR_OK;
    key_fini(key);
    return ERR_INVALID;
}

void key_fini(struct key *key)
{
    if (key->secret != NULL)
        OPENSSL_cleanse(key->secret, key->secret_len);
    mem_free(key->secret);
    mem_free(key->kid);
    EVP_PKEY_free(key->public_key);
    *key = (struct key){0};
}

/* --- signatures --- */

static bool verify_hmac(const struct key *key, const struct alg_info *info, struct slice text,
                        struct slice signature)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    return HMAC(EVP_get_digestbyname(info->digest), key->secret, (int)key->secret_len,
                (const unsigned char *)text.ptr, text.len, mac, &len) != NULL &&
           len == signature.len && CRYPTO_memcmp(mac, signature.ptr, len) == 0;
}

/* OpenSSL wants the two numbers in DER. Returns its length, 0 when there is none: neither number
 * may be zero. */
static size_t write_der(struct slice signature, unsigned char out[DER_SIGNATURE_MAX])
{
    int half = (int)(signature.len / 2), len = 0;
    const unsigned char *bytes = (const unsigned char *)signature.ptr;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes, half, NULL), *s = BN_bin2bn(bytes + half, half, NULL);
    if (pair != NULL && r != NULL && s != NULL && !BN_is_zero(r) && !BN_is_zero(s) &&
        ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL;
        len = i2d_ECDSA_SIG(pair, &out);
        assert(len <= DER_SIGNATURE_MAX);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return len > 0 ? (size_t)len : 0;
}

static bool set_padding(EVP_PKEY_CTX *context, const struct alg_info *info)
{
    if (info->kind != ALG_RSA_PSS)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool verify_public(const struct key *key, const struct alg_info *info, struct slice text,
                          struct slice signature)
{
    unsigned char der[DER_SIGNATURE_MAX];
    EVP_PKEY_CTX *context = NULL;
    if (info->kind == ALG_ECDSA)
        signature = slice_of(der, write_der(signature, der));
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool is_good = digest != NULL && signature.len != 0 &&
                   EVP_DigestVerifyInit_ex(digest, &context, info->digest, NULL, NULL,
                                           key->public_key, NULL) == 1 &&
                   set_padding(context, info) &&
                   EVP_DigestVerify(digest, (const unsigned char *)signature.ptr, signature.len,
                                    (const unsigned char *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(digest);
    return is_good;
}

bool key_verify(const struct key *key, enum alg alg, struct slice text, struct slice signature)
{
    const struct alg_info *info = alg_info(alg);
    if ((key->algs & alg_bit(alg)) == 0 ||
        (info->signature_bytes != 0 && signature.len != info->signature_bytes))
        return false;
    return info->kind == ALG_HMAC ? verify_hmac(key, info, text, signature)
                                  : verify_public(key, info, text, signature);
}
