#include "handlers/origin.h"

#include <CUnit/CUnit.h>

static void lists_are_judged_entry_by_entry(void)
{
    static const struct {
        const char *list;
        bool is_valid;
    } rows[] = {
        {"*", true},
        {"null", true},
        {"https://example.org", true},
        {"https://example.org:8443", true},
        {"http://localhost:3000, https://*.example.org", true},
        {" https://a.example ,\thttps://b.example ", true},
        {"http://127.0.0.1:8080", true},
        {"http://[::1]:8080", true},
        {"http://[2001:db8::1]", true},
        {"app+x-1.0://host", true},
        {"https://under_score.example", true},
        {"https://example.org:1", true},
        {"https://example.org:65535", true},
        {"", false},
        {" ", false},
        {"example.org", false},
        {"//example.org", false},
        {"://example.org", false},
        {"https://", false},
        {"https://:443", false},
        {"https://example.org/", false},
        {"https://example.org/path", false},
        {"https://example.org?q", false},
        {"https://example.org#f", false},
        {"https://user@example.org", false},
        {"https://example.org:", false},
        {"https://example.org:65536", false},
        {"https://example.org:http", false},
        {"https://example.org:-1", false},
        {"https://*", false},
        {"https://*.", false},
        {"https://*.*.example.org", false},
        {"https://exa*mple.org", false},
        {"*.example.org", false},
        {"https://*example.org", false},
        {"https://exämple.org", false},
        {"https://a.example,", false},
        {",https://a.example", false},
        {"https://a.example,,https://b.example", false},
        {"https://a.example https://b.example", false},
        {"1https://example.org", false},
        {"http://[::1", false},
        {"http://::1", false},
        {"http://[]", false},
        {"http://[localhost]", false},
        {"NULL", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (origin_list_is_valid(rows[i].list) != rows[i].is_valid)
            CU_FAIL(rows[i].list);
}

static void origins_match_by_scheme_host_and_port(void)
{
    static const struct {
        const char *list, *origin;
        bool is_allowed;
    } rows[] = {
        {"*", "https://example.org", true},
        {"*", "null", true},
        {"*", "what is this", true},
        {"https://example.org", "https://example.org", true},
        {"https://example.org", "http://example.org", false},
        {"https://example.org", "https://example.com", false},
        {"https://example.org", "https://www.example.org", false},
        {"https://www.example.org", "https://example.org", false},
        {"https://example.org", "https://example.org.evil.example", false},
        {"https://example.org", "https://evil.example/https://example.org", false},
        {"https://example.org", "https://example.org/", false},
        {"https://example.org", "https://example.org@evil.example", false},
        {"https://example.org", "https://evil.example#https://example.org", false},
        {"https://example.org", "", false},
        {"https://example.org", "null", false},
        {"https://example.org", "example.org", false},
        {"HTTPS://Example.ORG", "https://example.org", true},
        {"https://example.org", "HTTPS://EXAMPLE.ORG", true},
        {"https://example.org", "https://example.org:443", true},
        {"https://example.org:443", "https://example.org", true},
        {"http://example.org", "http://example.org:80", true},
        {"http://example.org", "http://example.org:443", false},
        {"https://example.org", "https://example.org:80", false},
        {"https://example.org:8443", "https://example.org:8443", true},
        {"https://example.org:8443", "https://example.org", false},
        {"https://example.org", "https://example.org:8443", false},
        {"app://host", "app://host", true},
        {"app://host", "app://host:80", false},
        {"http://[::1]:3000", "http://[::1]:3000", true},
        {"http://[::1]", "http://[::1]:80", true},
        {"http://[::1]", "http://[::2]", false},
        {"https://*.example.org", "https://a.example.org", true},
        {"https://*.example.org", "https://a.b.c.example.org", true},
        {"https://*.example.org", "https://A.EXAMPLE.org", true},
        {"https://*.example.org", "https://a.example.org:443", true},
        {"https://*.example.org", "https://example.org", false},
        {"https://*.example.org", "https://.example.org", false},
        {"https://*.example.org", "https://notexample.org", false},
        {"https://*.example.org", "https://a.example.org:8443", false},
        {"https://*.example.org", "http://a.example.org", false},
        {"https://*.example.org", "https://a.example.org.evil.example", false},
        {"https://*.example.org", "https://*.example.org", false},
        {"https://*.example.org:8443", "https://a.example.org:8443", true},
        {"null", "null", true},
        {"null", "Null", false},
        {"null", "https://null", false},
        {"https://a.example,https://b.example", "https://b.example", true},
        {"https://a.example, https://b.example", "https://b.example", true},
        {"https://a.example,null", "null", true},
        {"https://a.example,https://b.example", "https://c.example", false},
        {"https://a.example,*", "https://c.example", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (origin_is_allowed(rows[i].list, slice_str(rows[i].origin)) != rows[i].is_allowed)
            CU_FAIL(rows[i].origin);
}

static void octets_behind_the_value_are_not_looked_at(void)
{
    static const char text[] = "https://example.org:8443";
    CU_ASSERT_TRUE(origin_is_allowed("https://example.org", slice_of(text, 19)));
    CU_ASSERT_FALSE(origin_is_allowed("https://example.org", slice_of(text, 18)));
    CU_ASSERT_FALSE(origin_is_allowed("https://a.org", slice_of("https://a.org\0x", 15)));
    CU_ASSERT_FALSE(origin_is_allowed("https://a.org", SLICE_NONE));
}

CU_TestInfo origin_tests[] = {
    {"lists_are_judged_entry_by_entry", lists_are_judged_entry_by_entry},
    {"origins_match_by_scheme_host_and_port", origins_match_by_scheme_host_and_port},
    {"octets_behind_the_value_are_not_looked_at", octets_behind_the_value_are_not_looked_at},
    CU_TEST_INFO_NULL,
};
