#include "core/ws/handshake.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

/* RFC 6455 1.3. */
static void accepts_with_the_hash_of_the_rfc(void)
{
    char accept[HANDSHAKE_ACCEPT_SIZE];
    handshake_accept(slice_str(KEY), accept);
    CU_ASSERT_STRING_EQUAL(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    handshake_accept(slice_str(" \t" KEY " "), accept);
    CU_ASSERT_STRING_EQUAL(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/* RFC 6455 4.2.1. */
static void judges_requests(void)
{
    static const struct {
        const char *upgrade, *connection, *version, *key;
        enum handshake_result result;
    } cases[] = {
        {"websocket", "Upgrade", "13", KEY, HANDSHAKE_OK},
        {"WebSocket", "keep-alive, Upgrade", "13", KEY, HANDSHAKE_OK},
        {"WEBSOCKET", "upgrade,keep-alive", " 13\t", "\t" KEY " ", HANDSHAKE_OK},
        {"h2c, websocket", ",,UPGRADE ,", "13", KEY, HANDSHAKE_OK},
        {"websocket", "Upgrade", "13", "AAAAAAAAAAAAAAAAAAAAAA==", HANDSHAKE_OK},
        {"websocket", "Upgrade", "13", "+/+/+/+/+/+/+/+/+/+/+w==", HANDSHAKE_OK},
        {NULL, "Upgrade", "13", KEY, HANDSHAKE_NOT_AN_UPGRADE},
        {"websocket", NULL, "13", KEY, HANDSHAKE_NOT_AN_UPGRADE},
        {"websocket", "keep-alive", "13", KEY, HANDSHAKE_NOT_AN_UPGRADE},
        {"websocket", "Upgrades", "13", KEY, HANDSHAKE_NOT_AN_UPGRADE},
        {"websocket", "", "13", KEY, HANDSHAKE_NOT_AN_UPGRADE},
        {"websocket/13", "Upgrade", "13", KEY, HANDSHAKE_NOT_AN_UPGRADE},
        {"web socket", "Upgrade", "13", KEY, HANDSHAKE_NOT_AN_UPGRADE},
        {"h2c", "Upgrade", "13", KEY, HANDSHAKE_NOT_AN_UPGRADE},
        {"websocket", "Upgrade", NULL, KEY, HANDSHAKE_BAD_VERSION},
        {"websocket", "Upgrade", "", KEY, HANDSHAKE_BAD_VERSION},
        {"websocket", "Upgrade", "8", KEY, HANDSHAKE_BAD_VERSION},
        {"websocket", "Upgrade", "013", KEY, HANDSHAKE_BAD_VERSION},
        {"websocket", "Upgrade", "13, 8", KEY, HANDSHAKE_BAD_VERSION},
        {"websocket", "Upgrade", "130", KEY, HANDSHAKE_BAD_VERSION},
        {"websocket", "Upgrade", "8", "bad", HANDSHAKE_BAD_VERSION},
        {"websocket", "Upgrade", "13", NULL, HANDSHAKE_BAD_KEY},
        {"websocket", "Upgrade", "13", "", HANDSHAKE_BAD_KEY},
        {"websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ", HANDSHAKE_BAD_KEY},
        {"websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ=", HANDSHAKE_BAD_KEY},
        {"websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQA=", HANDSHAKE_BAD_KEY},
        {"websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZ===", HANDSHAKE_BAD_KEY},
        {"websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25j_Q==", HANDSHAKE_BAD_KEY},
        {"websocket", "Upgrade", "13", KEY "A", HANDSHAKE_BAD_KEY},
        {"websocket", "Upgrade", "13", KEY ", " KEY, HANDSHAKE_BAD_KEY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct handshake_request request = {
            .upgrade = slice_str(cases[i].upgrade),
            .connection = slice_str(cases[i].connection),
            .version = slice_str(cases[i].version),
            .key = slice_str(cases[i].key),
        };
        CU_ASSERT_EQUAL(handshake_check(&request), cases[i].result);
    }
}

static void finds_tokens_in_lists(void)
{
    CU_ASSERT_TRUE(handshake_has_token(slice_str("a, b ,c"), "B"));
    CU_ASSERT_TRUE(handshake_has_token(slice_str("a,b\t,"), "b"));
    CU_ASSERT_FALSE(handshake_has_token(slice_str("ab"), "a"));
    CU_ASSERT_FALSE(handshake_has_token(slice_str("a b"), "b"));
    CU_ASSERT_FALSE(handshake_has_token(slice_str(","), "a"));
    CU_ASSERT_FALSE(handshake_has_token(SLICE_NONE, "a"));
}

#define OFFER  "permessage-deflate"
#define ANSWER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

struct negotiation {
    const char *offers, *answer;
    unsigned server_bits, client_bits; /* 0: not agreed on */
};

/* Copies the offers, so that a sanitizer sees a look behind their end. */
static void check_negotiation(const struct negotiation *expected)
{
    struct deflate_params params;
    char answer[HANDSHAKE_EXTENSIONS_SIZE];
    size_t len = strlen(expected->offers);
    char *offers = malloc(len + 1);
    memcpy(offers, expected->offers, len);
    offers = realloc(offers, len > 0 ? len : 1);
    memset(&params, 0xEE, sizeof params);
    handshake_negotiate_deflate(slice_of(offers, len), &params, answer);
    bool good = strcmp(answer, expected->answer) == 0 &&
                params.enabled == (expected->server_bits != 0) &&
                params.server_window_bits == expected->server_bits &&
                params.client_window_bits == expected->client_bits;
    CU_ASSERT_TRUE(good);
    if (!good)
        fprintf(stderr, "\noffers: %s\nanswer: %s\n", expected->offers, answer);
    free(offers);
}

/* RFC 7692 7.1, one row for each rule. */
static void negotiates_deflate(void)
{
    static const struct negotiation cases[] = {
        {OFFER, ANSWER, 15, 15},
        {"", "", 0, 0},
        {"x-webkit-deflate-frame", "", 0, 0},
        {"permessage-bzip2", "", 0, 0},
        {"permessage-deflatex", "", 0, 0},
        {"x-webkit-deflate-frame, " OFFER, ANSWER, 15, 15},
        {"foo; a=1; b=\"c\", " OFFER, ANSWER, 15, 15},

        /* 7.1.1 */
        {OFFER "; server_no_context_takeover", ANSWER, 15, 15},
        {OFFER "; client_no_context_takeover", ANSWER, 15, 15},
        {OFFER "; client_no_context_takeover; server_no_context_takeover", ANSWER, 15, 15},
        {OFFER "; server_no_context_takeover=1", "", 0, 0},
        {OFFER "; client_no_context_takeover=\"true\"", "", 0, 0},
        {OFFER "; server_no_context_takeover; server_no_context_takeover", "", 0, 0},

        /* 7.1.2.1 */
        {OFFER "; server_max_window_bits=15", ANSWER "; server_max_window_bits=15", 15, 15},
        {OFFER "; server_max_window_bits=10", ANSWER "; server_max_window_bits=10", 10, 15},
        {OFFER "; server_max_window_bits=\"10\"", ANSWER "; server_max_window_bits=10", 10, 15},
        {OFFER "; server_max_window_bits=9", ANSWER "; server_max_window_bits=9", 9, 15},
        {OFFER "; server_max_window_bits=8", "", 0, 0},
        {OFFER "; server_max_window_bits=7", "", 0, 0},
        {OFFER "; server_max_window_bits=16", "", 0, 0},
        {OFFER "; server_max_window_bits=0", "", 0, 0},
        {OFFER "; server_max_window_bits=010", "", 0, 0},
        {OFFER "; server_max_window_bits=09", "", 0, 0},
        {OFFER "; server_max_window_bits=1", "", 0, 0},
        {OFFER "; server_max_window_bits=100", "", 0, 0},
        {OFFER "; server_max_window_bits=-9", "", 0, 0},
        {OFFER "; server_max_window_bits=+9", "", 0, 0},
        {OFFER "; server_max_window_bits=1a", "", 0, 0},
        {OFFER "; server_max_window_bits", "", 0, 0},
        {OFFER "; server_max_window_bits=10; server_max_window_bits=10", "", 0, 0},
        {OFFER "; server_max_window_bits=8, " OFFER, ANSWER, 15, 15},
        {OFFER "; server_max_window_bits=11, " OFFER, ANSWER "; server_max_window_bits=11", 11, 15},

        /* 7.1.2.2 */
        {OFFER "; client_max_window_bits", ANSWER, 15, 15},
        {OFFER "; client_max_window_bits=15", ANSWER, 15, 15},
        {OFFER "; client_max_window_bits=14", ANSWER "; client_max_window_bits=14", 15, 14},
        {OFFER "; client_max_window_bits=\"9\"", ANSWER "; client_max_window_bits=9", 15, 9},
        {OFFER "; client_max_window_bits=8", ANSWER "; client_max_window_bits=8", 15, 9},
        {OFFER "; client_max_window_bits=7", "", 0, 0},
        {OFFER "; client_max_window_bits=16", "", 0, 0},
        {OFFER "; client_max_window_bits=08", "", 0, 0},
        {OFFER "; client_max_window_bits; client_max_window_bits", "", 0, 0},
        {OFFER "; client_max_window_bits; client_max_window_bits=10", "", 0, 0},

        /* 7.1: unknown parameters; several offers, of which the first that can be kept counts */
        {OFFER "; mode=fast", "", 0, 0},
        {OFFER "; Server_No_Context_Takeover", "", 0, 0},
        {OFFER "; mode=fast, " OFFER "; server_max_window_bits=12",
         ANSWER "; server_max_window_bits=12", 12, 15},
        {OFFER "; client_max_window_bits; server_max_window_bits=10, " OFFER
               "; client_max_window_bits",
         ANSWER "; server_max_window_bits=10", 10, 15},
        {OFFER "; server_no_context_takeover; client_no_context_takeover; "
               "server_max_window_bits=15; client_max_window_bits=14",
         ANSWER "; server_max_window_bits=15; client_max_window_bits=14", 15, 14},

        /* the grammar (RFC 6455 9.1): white space, empty elements; broken anywhere: no answer */
        {" \t" OFFER "\t;\tserver_max_window_bits = 10 ", ANSWER "; server_max_window_bits=10", 10,
         15},
        {OFFER ";server_max_window_bits=\"10\",foo", ANSWER "; server_max_window_bits=10", 10, 15},
        {", ," OFFER " , ,", ANSWER, 15, 15},
        {OFFER ";", "", 0, 0},
        {OFFER "; ;", "", 0, 0},
        {OFFER "; server_max_window_bits=", "", 0, 0},
        {OFFER "; server_max_window_bits=\"\"", "", 0, 0},
        {OFFER "; server_max_window_bits=\"10", "", 0, 0},
        {OFFER "; server_max_window_bits=\"10\"x", "", 0, 0},
        {OFFER "; server_max_window_bits=\"1\\0\"", "", 0, 0},
        {OFFER "; server_max_window_bits=\" 10\"", "", 0, 0},
        {OFFER "; =10", "", 0, 0},
        {OFFER " " OFFER, "", 0, 0},
        {OFFER "=1", "", 0, 0},
        {OFFER ", foo;", "", 0, 0},
        {OFFER ", \"foo\"", "", 0, 0},
        {"foo; bar=\"baz, " OFFER, "", 0, 0},
        {"; " OFFER, "", 0, 0},
        {OFFER "\x01", "", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_negotiation(&cases[i]);
}

static void no_header_agrees_on_nothing(void)
{
    struct deflate_params params;
    char answer[HANDSHAKE_EXTENSIONS_SIZE];
    handshake_negotiate_deflate(SLICE_NONE, &params, answer);
    CU_ASSERT_FALSE(params.enabled);
    CU_ASSERT_STRING_EQUAL(answer, "");
}

CU_TestInfo handshake_tests[] = {
    {"accepts_with_the_hash_of_the_rfc", accepts_with_the_hash_of_the_rfc},
    {"judges_requests", judges_requests},
    {"finds_tokens_in_lists", finds_tokens_in_lists},
    {"negotiates_deflate", negotiates_deflate},
    {"no_header_agrees_on_nothing", no_header_agrees_on_nothing},
    CU_TEST_INFO_NULL,
};
