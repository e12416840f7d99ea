#include "tests/support/jwt.h"

#include <CUnit/CUnit.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

enum { RSA_BITS = 2048, NUMBER_MAX = 1024 };

EVP_PKEY *jwt_make_rsa_key(unsigned bits)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
    CU_ASSERT_PTR_NOT_NULL_FATAL(key);
    return key;
}

EVP_PKEY *jwt_make_key(enum alg alg)
{
    EVP_PKEY *key = NULL;
    switch (alg_info(alg)->kind) {
    case ALG_HMAC:
        return NULL;
    case ALG_RSA:
    case ALG_RSA_PSS:
        return jwt_make_rsa_key(RSA_BITS);
    case ALG_ECDSA:
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", alg == ALG_ES256 ? "P-256" : "P-384");
        break;
    case ALG_ED25519:
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        break;
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(key);
    return key;
}

/* r and s, each in its full length. */
static size_t unpack_ecdsa(const unsigned char *der, size_t len, size_t half, unsigned char *out)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pair);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, (int)half);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + half, (int)half);
    ECDSA_SIG_free(pair);
    return 2 * half;
}

static size_t sign(enum alg alg, EVP_PKEY *key, struct slice text, unsigned char out[NUMBER_MAX])
{
    const struct alg_info *info = alg_info(alg);
    unsigned char bytes[NUMBER_MAX];
    size_t len = sizeof bytes;
    EVP_PKEY_CTX *context = NULL;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    CU_ASSERT_EQUAL_FATAL(
        EVP_DigestSignInit_ex(digest, &context, info->digest, NULL, NULL, key, NULL), 1);
    if (info->kind == ALG_RSA_PSS) {
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST);
    }
    CU_ASSERT_EQUAL_FATAL(
        EVP_DigestSign(digest, bytes, &len, (const unsigned char *)text.ptr, text.len), 1);
    EVP_MD_CTX_free(digest);
    if (info->kind == ALG_ECDSA)
        return unpack_ecdsa(bytes, len, info->signature_bytes / 2, out);
    memcpy(out, bytes, len);
    return len;
}

void jwt_append_signature(struct buf *out, enum alg alg, EVP_PKEY *key, struct slice text)
{
    unsigned char bytes[NUMBER_MAX];
    unsigned hmac_len = 0;
    if (alg_info(alg)->kind != ALG_HMAC) {
        buf_append(out, bytes, sign(alg, key, text, bytes));
        return;
    }
    HMAC(EVP_get_digestbyname(alg_info(alg)->digest), JWT_SECRET, sizeof JWT_SECRET - 1,
         (const unsigned char *)text.ptr, text.len, bytes, &hmac_len);
    buf_append(out, bytes, hmac_len);
}

void jwt_append(struct buf *out, enum alg alg, EVP_PKEY *key, const char *header,
                const char *payload)
{
    struct buf signature;
    size_t start = out->len;
    base64url_append(out, slice_str(header));
    buf_append_char(out, '.');
    base64url_append(out, slice_str(payload));
    buf_init(&signature, NUMBER_MAX);
    jwt_append_signature(&signature, alg, key, slice_skip(buf_slice(out), start));
    buf_append_char(out, '.');
    base64url_append(out, buf_slice(&signature));
    buf_fini(&signature);
}

void jwt_append_pem(struct buf *out, EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    CU_ASSERT_EQUAL_FATAL(PEM_write_bio_PUBKEY(bio, key), 1);
    long len = BIO_get_mem_data(bio, &text);
    buf_append(out, text, (size_t)len);
    BIO_free(bio);
}

static void append_number(struct buf *out, EVP_PKEY *key, const char *param, size_t bytes)
{
    unsigned char octets[NUMBER_MAX];
    BIGNUM *number = NULL;
    CU_ASSERT_EQUAL_FATAL(EVP_PKEY_get_bn_param(key, param, &number), 1);
    int len = bytes != 0 ? BN_bn2binpad(number, octets, (int)bytes) : BN_bn2bin(number, octets);
    base64url_append(out, slice_of(octets, (size_t)len));
    BN_free(number);
}

void jwt_append_jwk(struct buf *out, EVP_PKEY *key, const char *more)
{
    unsigned char raw[32];
    size_t len = sizeof raw;
    size_t half = EVP_PKEY_get_bits(key) == 256 ? 32 : 48;
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        buf_append_str(out, "{\"kty\":\"RSA\",\"n\":\"");
        append_number(out, key, OSSL_PKEY_PARAM_RSA_N, 0);
        buf_append_str(out, "\",\"e\":\"");
        append_number(out, key, OSSL_PKEY_PARAM_RSA_E, 0);
        break;
    case EVP_PKEY_EC:
        buf_printf(out, "{\"kty\":\"EC\",\"crv\":\"P-%d\",\"x\":\"", EVP_PKEY_get_bits(key));
        append_number(out, key, OSSL_PKEY_PARAM_EC_PUB_X, half);
        buf_append_str(out, "\",\"y\":\"");
        append_number(out, key, OSSL_PKEY_PARAM_EC_PUB_Y, half);
        break;
    default:
        CU_ASSERT_EQUAL_FATAL(EVP_PKEY_get_raw_public_key(key, raw, &len), 1);
        buf_append_str(out, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
        base64url_append(out, slice_of(raw, len));
    }
    buf_printf(out, "\"%s}", more);
}
