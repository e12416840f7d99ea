#include "core/auth/jws.h"

#include <CUnit/CUnit.h>

#include "tests/support/jwt.h"

enum { TEXT_MAX = 32 * 1024 };

/* Parses a token of this header, a payload "{}" and a signature "s". */
static enum err parse_with_header(struct slice header, struct jws *out)
{
    static char text[TEXT_MAX];
    struct buf token = {.ptr = text, .cap = sizeof text, .max = sizeof text};
    const char *why = NULL;
    base64url_append(&token, header);
    buf_append_str(&token, ".e30.cw");
    enum err err = jws_parse(buf_slice(&token), out, &why);
    CU_ASSERT_EQUAL(err == ERR_OK, why == NULL);
    return err;
}

static void parts_are_taken_apart(void)
{
    struct jws jws;
    const char *why = NULL;
    static const char token[] = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.e30.AQID";
    CU_ASSERT_EQUAL_FATAL(jws_parse(slice_str(token), &jws, &why), ERR_OK);
    CU_ASSERT_EQUAL(jws.alg, ALG_RS256);
    CU_ASSERT_TRUE(slice_equals_str(jws.kid, "k1"));
    CU_ASSERT_TRUE(slice_equals_str(jws.payload, "{}"));
    CU_ASSERT_TRUE(slice_equals(jws.signature, slice_of("\1\2\3", 3)));
    CU_ASSERT_TRUE(slice_equals_str(jws.signed_text, "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.e30"));
}

static void other_forms_are_refused(void)
{
#define HEADER "eyJhbGciOiJIUzI1NiJ9"
    static const char *const rows[] = {
        "",
        ".",
        "..",
        "...",
        "a",
        HEADER,
        HEADER ".e30",
        HEADER ".e30.cw.",
        HEADER ".e30.cw.cw",
        HEADER ".e30.cw.cw.cw",
        "." HEADER ".e30.cw",
        ".e30.cw",
        HEADER "=.e30.cw",
        HEADER ".e30=.cw",
        HEADER ".e30.cw==",
        HEADER ".e30.cx",
        HEADER ".e31.cw",
        HEADER ".e.cw",
        HEADER ".e30.c",
        " " HEADER ".e30.cw",
        HEADER ".e30.cw ",
        HEADER ".e30.cw\n",
        HEADER ".e3 0.cw",
        HEADER ".e30.c+",
        "e30.e30.cw",
        "W10.e30.cw",
        "bnVsbA.e30.cw",
        "eyJhbGciOiJIUzI1NiI.e30.cw",
    };
    struct jws jws;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *why = NULL;
        if (jws_parse(slice_str(rows[i]), &jws, &why) != ERR_INVALID || why == NULL)
            CU_FAIL(rows[i]);
    }
}

static void empty_payload_and_signature_are_left_to_others(void)
{
    struct jws jws;
    const char *why = NULL;
    CU_ASSERT_EQUAL(jws_parse(slice_str(HEADER ".."), &jws, &why), ERR_OK);
    CU_ASSERT_EQUAL(jws.payload.len, 0);
    CU_ASSERT_EQUAL(jws.signature.len, 0);
}

static void algorithms_are_known_by_their_exact_names(void)
{
    static const char *const good[] = {"HS256", "HS384", "HS512", "RS256", "RS384",
                                       "RS512", "PS256", "ES256", "ES384", "EdDSA"};
    static const char *const bad[] = {"none",   "None",  "NONE",  "nOnE",   "",      "hs256",
                                      "HS256 ", "HS1",   "RS1",   "PS384",  "PS512", "ES512",
                                      "ES256K", "eddsa", "Ed448", "A128KW", "dir",   "HS257"};
    struct jws jws;
    char header[64];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", good[i]);
        CU_ASSERT_EQUAL(parse_with_header(slice_str(header), &jws), ERR_OK);
        CU_ASSERT_EQUAL(jws.alg, (enum alg)i);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", bad[i]);
        if (parse_with_header(slice_str(header), &jws) != ERR_INVALID)
            CU_FAIL(bad[i]);
    }
}

static void headers_are_strict_json(void)
{
    static const char *const bad[] = {
        "{}",
        "{\"alg\":null}",
        "{\"alg\":256}",
        "{\"alg\":[\"HS256\"]}",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
        "{\"alg\":\"none\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"kid\":\"a\",\"kid\":\"b\"}",
        "{\"alg\":\"HS256\"} ,",
        "{\"alg\":\"HS256\"}{}",
        "{\"alg\":\"HS256\",}",
        "{'alg':'HS256'}",
        "{\"alg\":\"HS256\\u0000\"}",
        "{\"alg\":\"HS256\",\"kid\":1}",
        "{\"alg\":\"HS256\",\"kid\":null}",
        "{\"alg\":\"HS256\",\"kid\":{}}",
        "{\"alg\":\"HS256\",\"crit\":[]}",
        "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"HS256\",\"crit\":null}",
        "{\"alg\":\"HS256\",\"x\":\"\xFF\"}",
        "{\"alg\":\"HS256\",\"x\":\"\\ud800\"}",
        "\xEF\xBB\xBF{\"alg\":\"HS256\"}",
        "[{\"alg\":\"HS256\"}]",
        "\"HS256\"",
    };
    struct jws jws;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse_with_header(slice_str(bad[i]), &jws) != ERR_INVALID)
            CU_FAIL(bad[i]);
    CU_ASSERT_EQUAL(parse_with_header(slice_of("{\"alg\":\"HS256\"}\0", 16), &jws), ERR_INVALID);
}

static void keys_in_the_header_are_not_looked_at(void)
{
    struct jws jws;
    CU_ASSERT_EQUAL(parse_with_header(
                        slice_str("{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"jwk\":{\"kty\":\"oct\"},"
                                  "\"jku\":\"https://evil.example\",\"x5u\":1,\"x5c\":[]}"),
                        &jws),
                    ERR_OK);
    CU_ASSERT_EQUAL(jws.alg, ALG_ES256);
    CU_ASSERT_PTR_NULL(jws.kid.ptr);
}

static void kids_have_at_most_256_bytes(void)
{
    struct jws jws;
    char kid[JWS_KID_MAX + 2] = "", header[JWS_KID_MAX + 64];
    for (size_t len = 0; len <= JWS_KID_MAX + 1; len++) {
        memset(kid, 'k', len);
        snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", kid);
        enum err err = parse_with_header(slice_str(header), &jws);
        CU_ASSERT_EQUAL(err, len <= JWS_KID_MAX ? ERR_OK : ERR_INVALID);
        if (err == ERR_OK)
            CU_ASSERT_EQUAL(jws.kid.len, len);
    }
}

static void tokens_have_at_most_8192_bytes(void)
{
    struct jws jws;
    static char token[JWS_TOKEN_MAX + 1];
    const char *why = NULL;
    static const size_t lens[] = {JWS_TOKEN_MAX - 1, JWS_TOKEN_MAX, JWS_TOKEN_MAX + 1};
    /* Payload and signature whose lengths modulo 4 are possible ones. */
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        size_t len = lens[i], head = strlen(HEADER ".");
        memset(token, 'A', len);
        memcpy(token, HEADER ".", head);
        size_t payload = (len - head - 1) / 2 / 4 * 4;
        if ((len - head - payload - 1) % 4 == 1)
            payload += 2;
        token[head + payload] = '.';
        enum err err = jws_parse(slice_of(token, len), &jws, &why);
        CU_ASSERT_EQUAL(err, len <= JWS_TOKEN_MAX ? ERR_OK : ERR_INVALID);
    }
}

/* Nested deeper than a parser may follow. */
static void deep_headers_are_refused(void)
{
    static char header[6000];
    struct jws jws;
    memset(header, '[', sizeof header);
    CU_ASSERT_EQUAL(parse_with_header(slice_of(header, sizeof header), &jws), ERR_INVALID);
    memcpy(header, "{\"alg\":", 7);
    CU_ASSERT_EQUAL(parse_with_header(slice_of(header, sizeof header), &jws), ERR_INVALID);
}

CU_TestInfo jws_tests[] = {
    {"parts_are_taken_apart", parts_are_taken_apart},
    {"other_forms_are_refused", other_forms_are_refused},
    {"empty_payload_and_signature_are_left_to_others",
     empty_payload_and_signature_are_left_to_others},
    {"algorithms_are_known_by_their_exact_names", algorithms_are_known_by_their_exact_names},
    {"headers_are_strict_json", headers_are_strict_json},
    {"keys_in_the_header_are_not_looked_at", keys_in_the_header_are_not_looked_at},
    {"kids_have_at_most_256_bytes", kids_have_at_most_256_bytes},
    {"tokens_have_at_most_8192_bytes", tokens_have_at_most_8192_bytes},
    {"deep_headers_are_refused", deep_headers_are_refused},
    CU_TEST_INFO_NULL,
};
