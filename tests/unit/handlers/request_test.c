/* request_header and request_has_body ask libmicrohttpd, and are tested end to end. */
#include "handlers/request.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

static void escapes_are_decoded(void)
{
    static const struct {
        const char *in;
        struct slice out;
    } rows[] = {
        {"", {"", 0}},
        {"lobby", {"lobby", 5}},
        {"a%20b", {"a b", 3}},
        {"%61%62", {"ab", 2}},
        {"a+b", {"a+b", 3}}, /* a plus is a plus in a path */
        {"%2f%2F", {"//", 2}},
        {"%c3%BC", {"\xC3\xBC", 2}},
        {"%00", {"\0", 1}},
        {"%ff", {"\xFF", 1}},
        {"%25%32%30", {"%20", 3}}, /* once only */
        {"a%", {NULL, 0}},
        {"a%2", {NULL, 0}},
        {"%", {NULL, 0}},
        {"%%", {NULL, 0}},
        {"%%20", {NULL, 0}},
        {"%g0", {NULL, 0}},
        {"%0g", {NULL, 0}},
        {"% 2", {NULL, 0}},
        {"%+1", {NULL, 0}},
        {"%-1", {NULL, 0}},
        {"%0x", {NULL, 0}},
        {"%u0041", {NULL, 0}},
        {"good%2zbad", {NULL, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[64];
        size_t len = 99;
        enum err err = request_decode(slice_str(rows[i].in), out, sizeof out, &len);
        bool good = rows[i].out.ptr != NULL;
        if (err != (good ? ERR_OK : ERR_INVALID) ||
            (good && !slice_equals(slice_of(out, len), rows[i].out)))
            CU_FAIL(rows[i].in);
    }
}

static void path_of_target_leaves_scheme_and_host_out(void)
{
    static const struct {
        const char *target, *path;
    } rows[] = {
        {"/", "/"},
        {"/healthz", "/healthz"},
        {"/http://x/y", "/http://x/y"},
        {"http://host/healthz", "/healthz"},
        {"HTTP://host:80/a/b", "/a/b"},
        {"https://user@[::1]:8080/ws/x", "/ws/x"},
        {"http://host", "/"},
        {"http://host/", "/"},
        {"http://host//", "//"},
        {"http://", "http://"},
        {"http:///healthz", "http:///healthz"},
        {"ftp://host/healthz", "ftp://host/healthz"},
        {"host:80", "host:80"},
        {"*", "*"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CU_ASSERT_STRING_EQUAL(request_path_of(rows[i].target), rows[i].path);
}

static void every_octet_can_be_escaped(void)
{
    for (unsigned octet = 0; octet < 256; octet++) {
        char in[4], out[1];
        size_t len;
        for (int upper = 0; upper <= 1; upper++) {
            (void)snprintf(in, sizeof in, upper ? "%%%02X" : "%%%02x", octet);
            CU_ASSERT_EQUAL(request_decode(slice_of(in, 3), out, 1, &len), ERR_OK);
            CU_ASSERT_EQUAL(len, 1);
            CU_ASSERT_EQUAL((unsigned char)out[0], octet);
        }
    }
}

/* What is counted is what comes out, not what goes in. */
static void the_size_is_a_limit(void)
{
    static const char *const texts[] = {"abcd", "%61%62%63%64", "a%62c%64"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t size = 0; size <= 5; size++) {
            char out[6] = "______";
            size_t len;
            enum err err = request_decode(slice_str(texts[i]), out, size, &len);
            CU_ASSERT_EQUAL(err, size < 4 ? ERR_FULL : ERR_OK);
            CU_ASSERT_EQUAL(out[size], size < 4 ? '_' : out[size]);
            CU_ASSERT_TRUE(len <= size);
        }
    }
}

/* The borrowed text ends where it ends, whatever stands behind it. */
static void nothing_behind_the_text_is_read(void)
{
    char out[8];
    size_t len;
    CU_ASSERT_EQUAL(request_decode(slice_of("a%20", 3), out, sizeof out, &len), ERR_INVALID);
    CU_ASSERT_EQUAL(request_decode(slice_of("a%20", 2), out, sizeof out, &len), ERR_INVALID);
    CU_ASSERT_EQUAL(request_decode(slice_of("a%20", 1), out, sizeof out, &len), ERR_OK);
    CU_ASSERT_EQUAL(len, 1);
}

CU_TestInfo request_tests[] = {
    {"escapes_are_decoded", escapes_are_decoded},
    {"path_of_target_leaves_scheme_and_host_out", path_of_target_leaves_scheme_and_host_out},
    {"every_octet_can_be_escaped", every_octet_can_be_escaped},
    {"the_size_is_a_limit", the_size_is_a_limit},
    {"nothing_behind_the_text_is_read", nothing_behind_the_text_is_read},
    CU_TEST_INFO_NULL,
};
