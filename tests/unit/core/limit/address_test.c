#include "core/limit/address.h"

#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <netinet/in.h>

static struct address address_of(const char *text)
{
    struct address address = {{0}};
    if (!address_parse(slice_str(text), &address))
        CU_FAIL(text);
    return address;
}

static bool same(struct address a, struct address b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

static void addresses_are_read_strictly(void)
{
    static const char *const bad[] = {
        "",      "1",   "1.2.3",     "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4:5",
        "[::1]", ":::", "fe80::1%0", "x",         "1.2.3.04x", "::1::",    "12345::"};
    struct address address;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (address_parse(slice_str(bad[i]), &address))
            CU_FAIL(bad[i]);
    CU_ASSERT_FALSE(address_parse(slice_of("::1\0x", 5), &address));
    CU_ASSERT_TRUE(same(address_of("1.2.3.4"), address_of("::ffff:1.2.3.4")));
    CU_ASSERT_TRUE(same(address_of("2001:DB8::1"), address_of("2001:db8:0:0:0:0:0:1")));
    CU_ASSERT_FALSE(same(address_of("1.2.3.4"), address_of("::1.2.3.4")));
}

static void sockets_have_addresses(void)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr other = {.sa_family = AF_UNIX};
    struct address address;
    inet_pton(AF_INET, "10.1.2.3", &v4.sin_addr);
    inet_pton(AF_INET6, "2001:db8::7", &v6.sin6_addr);
    CU_ASSERT_TRUE(address_of_socket((struct sockaddr *)&v4, &address));
    CU_ASSERT_TRUE(same(address, address_of("10.1.2.3")));
    CU_ASSERT_TRUE(address_of_socket((struct sockaddr *)&v6, &address));
    CU_ASSERT_TRUE(same(address, address_of("2001:db8::7")));
    CU_ASSERT_FALSE(address_of_socket(&other, &address));
}

static bool same_key(const char *a, const char *b)
{
    struct address x = address_of(a), y = address_of(b);
    return slice_equals(address_key(&x), address_key(&y));
}

static void a_line_at_home_is_one_key(void)
{
    CU_ASSERT_TRUE(same_key("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
    CU_ASSERT_FALSE(same_key("2001:db8:1:2::1", "2001:db8:1:3::1"));
    CU_ASSERT_FALSE(same_key("10.0.0.1", "10.0.0.2"));
    CU_ASSERT_TRUE(same_key("10.0.0.1", "::ffff:10.0.0.1"));
}

static void lists_are_judged_entry_by_entry(void)
{
    static const struct {
        const char *list;
        bool is_valid;
    } rows[] = {
        {"", true},
        {"10.0.0.0/8", true},
        {"10.0.0.1", true},
        {"10.0.0.1/32", true},
        {"0.0.0.0/0", true},
        {"::/0", true},
        {"fd00::/8", true},
        {"::1/128", true},
        {" 10.0.0.0/8 ,\t192.168.0.0/16,fd00::/8", true},
        {"::ffff:10.0.0.0/104", true},
        {"10.0.0.1/8", false},
        {"10.0.0.0/33", false},
        {"10.0.0.0/-1", false},
        {"10.0.0.0/", false},
        {"10.0.0.0/8/8", false},
        {"/8", false},
        {"10.0.0/8", false},
        {"fd00::1/8", false},
        {"::/129", false},
        {"10.0.0.0/8,", false},
        {",10.0.0.0/8", false},
        {"10.0.0.0/8,,::1", false},
        {"10.0.0.0/8 ::1", false},
        {"localhost", false},
        {"*", false},
        {" ", false},
    };
    struct network_list list;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (network_list_parse(slice_str(rows[i].list), &list) != rows[i].is_valid)
            CU_FAIL(rows[i].list);
}

static void lists_have_at_most_64_entries(void)
{
    char text[(NETWORKS_MAX + 1) * 4 + 1] = "";
    struct network_list list;
    for (size_t i = 0; i <= NETWORKS_MAX; i++)
        memcpy(text + 4 * i, "::1,", 4);
    CU_ASSERT_TRUE(network_list_parse(slice_of(text, 4 * NETWORKS_MAX - 1), &list));
    CU_ASSERT_EQUAL(list.count, NETWORKS_MAX);
    CU_ASSERT_FALSE(network_list_parse(slice_of(text, 4 * NETWORKS_MAX + 3), &list));
}

static void networks_have_their_addresses(void)
{
    static const struct {
        const char *list, *address;
        bool has;
    } rows[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true},
        {"10.0.0.0/8", "a00::", false},
        {"10.0.0.0/9", "10.127.0.1", true},
        {"10.0.0.0/9", "10.128.0.1", false},
        {"192.168.7.128/25", "192.168.7.200", true},
        {"192.168.7.128/25", "192.168.7.127", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "::1", true},
        {"::/0", "8.8.8.8", true},
        {"fd00::/8", "fdff::1", true},
        {"fd00::/8", "fe00::1", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"127.0.0.1", "127.0.0.2", false},
        {"127.0.0.1,::1", "::1", true},
        {"", "127.0.0.1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct network_list list;
        struct address address = address_of(rows[i].address);
        CU_ASSERT_TRUE(network_list_parse(slice_str(rows[i].list), &list));
        if (network_list_has(&list, &address) != rows[i].has)
            CU_FAIL(rows[i].list);
    }
}

static void the_right_most_stranger_is_whose_request_it_is(void)
{
    static const struct {
        const char *proxies, *peer, *forwarded, *expected;
    } rows[] = {
        /* Nobody is believed, or not this peer. */
        {"", "1.1.1.1", "2.2.2.2", "1.1.1.1"},
        {"10.0.0.0/8", "1.1.1.1", "2.2.2.2", "1.1.1.1"},
        {"10.0.0.0/8", "1.1.1.1", NULL, "1.1.1.1"},
        /* One proxy, several of them. */
        {"10.0.0.0/8", "10.0.0.1", "2.2.2.2", "2.2.2.2"},
        {"10.0.0.0/8", "10.0.0.1", "3.3.3.3, 2.2.2.2", "2.2.2.2"},
        {"10.0.0.0/8", "10.0.0.1", "3.3.3.3,2.2.2.2,10.0.0.2", "2.2.2.2"},
        {"10.0.0.0/8", "10.0.0.1", "3.3.3.3, 10.0.0.3, 2.2.2.2, 10.0.0.2", "2.2.2.2"},
        {"10.0.0.0/8,::1", "::1", " 2001:db8::1 \t, 10.0.0.2", "2001:db8::1"},
        /* Nothing, or only proxies: the first of them. */
        {"10.0.0.0/8", "10.0.0.1", NULL, "10.0.0.1"},
        {"10.0.0.0/8", "10.0.0.1", "", "10.0.0.1"},
        {"10.0.0.0/8", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
        /* What cannot be read ends the search. */
        {"10.0.0.0/8", "10.0.0.1", "2.2.2.2, unknown", "10.0.0.1"},
        {"10.0.0.0/8", "10.0.0.1", "2.2.2.2, , 10.0.0.2", "10.0.0.2"},
        {"10.0.0.0/8", "10.0.0.1", "2.2.2.2,", "10.0.0.1"},
        {"10.0.0.0/8", "10.0.0.1", "_hidden", "10.0.0.1"},
        {"10.0.0.0/8", "10.0.0.1", "2.2.2.2 3.3.3.3", "10.0.0.1"},
        /* Ports and brackets. */
        {"10.0.0.0/8", "10.0.0.1", "2.2.2.2:4711", "2.2.2.2"},
        {"10.0.0.0/8", "10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"},
        {"10.0.0.0/8", "10.0.0.1", "[2001:db8::1]", "2001:db8::1"},
        {"10.0.0.0/8", "10.0.0.1", "[2001:db8::1", "10.0.0.1"},
        {"10.0.0.0/8", "10.0.0.1", "::ffff:10.0.0.9, ::ffff:2.2.2.2", "2.2.2.2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct network_list proxies;
        struct address peer = address_of(rows[i].peer);
        CU_ASSERT_TRUE(network_list_parse(slice_str(rows[i].proxies), &proxies));
        struct address found = address_behind(&peer, slice_str(rows[i].forwarded), &proxies);
        if (!same(found, address_of(rows[i].expected)))
            CU_FAIL(rows[i].forwarded != NULL ? rows[i].forwarded : rows[i].peer);
    }
}

CU_TestInfo address_tests[] = {
    {"addresses_are_read_strictly", addresses_are_read_strictly},
    {"sockets_have_addresses", sockets_have_addresses},
    {"a_line_at_home_is_one_key", a_line_at_home_is_one_key},
    {"lists_are_judged_entry_by_entry", lists_are_judged_entry_by_entry},
    {"lists_have_at_most_64_entries", lists_have_at_most_64_entries},
    {"networks_have_their_addresses", networks_have_their_addresses},
    {"the_right_most_stranger_is_whose_request_it_is",
     the_right_most_stranger_is_whose_request_it_is},
    CU_TEST_INFO_NULL,
};
