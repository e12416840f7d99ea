#include "handlers/framing.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

/* A head as libmicrohttpd leaves it: the colon and what ends a line are zeroes. */
static bool is_refused(const char *head, bool is_http_1_1)
{
    struct framing framing = {.fault.code = FAULT_NONE};
    char text[256];
    snprintf(text, sizeof text, "%s", head);
    for (char *line = text; *line != '\0';) {
        char *end = line + strcspn(line, "|");
        char *next = *end != '\0' ? end + 1 : end;
        *end = '\0';
        char *value = strchr(line, ':');
        *value++ = '\0';
        value += strspn(value, " \t");
        framing_look(&framing, line, value);
        line = next;
    }
    return framing_judge(&framing, is_http_1_1).code != FAULT_NONE;
}

static void heads_are_judged(void)
{
    static const struct {
        const char *head; /* lines ended by | */
        bool is_refused;
    } rows[] = {
        {"Host: a", false},
        {"Host:a", false},
        {"Host: \t a", false},
        {"Host:", false},
        {"Host: example.org:8080", false},
        {"Host: [2001:db8::1]:80", false},
        {"HOST: under_score", false},
        {"Host: a|X: b|Y:", false},
        {"Host: a|host: a", true},
        {"Host: a b", true},
        {"Host: a/b", true},
        {"Host: a@b", true},
        {"Host: a\\b", true},
        {"Host: \xC3\xBC", true},
        {"Host : a", true},
        {"Host\t: a", true},
        {" X: a", true},
        {": a", true},
        {"X Y: a", true},
        {"X(Y): a", true},
        {"X\xC3\xBC: a", true},
        {"X\x01: a", true},
        {"!#$%&'*+-.^_`~09azAZ: a", false},
        {"X: \xC3\xBC", false},
        {"X: a\tb", false},
        {"X: a\rb", true},
        {"X: a\r", true},
        {"X: a\x01", false},
        {"Content-Length: 5", false},
        {"Content-Length: 5|Content-Length: 5", true},
        {"Content-Length: 5|content-length: 6", true},
        {"Transfer-Encoding: chunked", false},
        {"transfer-encoding: Chunked", false},
        {"Transfer-Encoding: chunked|Content-Length: 5", true},
        {"Content-Length: 5|Transfer-Encoding: chunked", true},
        {"Transfer-Encoding: chunked|Transfer-Encoding: chunked", true},
        {"Transfer-Encoding: chunked|Transfer-Encoding: identity", true},
        {"Transfer-Encoding: gzip, chunked", true},
        {"Transfer-Encoding: chunked, identity", true},
        {"Transfer-Encoding: xchunked", true},
        {"Transfer-Encoding: chunked ", true},
        {"Transfer-Encoding:", true},
        {"TE: trailers", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_refused(rows[i].head, true) != rows[i].is_refused)
            CU_FAIL(rows[i].head);
}

static void transfer_encoding_is_of_http_1_1(void)
{
    CU_ASSERT_TRUE(is_refused("Transfer-Encoding: chunked", false));
    CU_ASSERT_FALSE(is_refused("Content-Length: 5", false));
}

static void value_that_is_not_behind_its_name_was_folded(void)
{
    static const char memory[] = "Length\0 5\0Content-Length\0  5\0 ";
    struct framing framing = {.fault.code = FAULT_NONE};
    framing_look(&framing, memory + 10, memory + 27);
    CU_ASSERT_EQUAL(framing_judge(&framing, true).code, FAULT_NONE);
    framing_look(&framing, memory + 10, memory + 8); /* the name was moved */
    CU_ASSERT_EQUAL(framing_judge(&framing, true).code, FAULT_INVALID_PAYLOAD);

    framing = (struct framing){.fault.code = FAULT_NONE};
    framing_look(&framing, memory, memory + 27);
    CU_ASSERT_EQUAL(framing_judge(&framing, true).code, FAULT_INVALID_PAYLOAD);
}

static void first_fault_is_told(void)
{
    struct framing framing = {.fault.code = FAULT_NONE};
    static const char host[] = "Host\0a b", coding[] = "Transfer-Encoding\0gzip";
    framing_look(&framing, host, host + 5);
    framing_look(&framing, coding, coding + 18);
    CU_ASSERT_STRING_EQUAL(framing_judge(&framing, true).field, "Host");
}

CU_TestInfo framing_tests[] = {
    {"heads_are_judged", heads_are_judged},
    {"transfer_encoding_is_of_http_1_1", transfer_encoding_is_of_http_1_1},
    {"value_that_is_not_behind_its_name_was_folded", value_that_is_not_behind_its_name_was_folded},
    {"first_fault_is_told", first_fault_is_told},
    CU_TEST_INFO_NULL,
};
