#include "core/bus/redis_url.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

extern CU_TestInfo redis_url_tests[];

struct good_url {
    const char *text, *host, *unix_path, *user, *password;
    int port, db;
};

static const struct good_url good_urls[] = {
    {"redis://localhost", "localhost", NULL, NULL, NULL, 6379, 0},
    {"REDIS://localhost", "localhost", NULL, NULL, NULL, 6379, 0},
    {"redis://localhost/", "localhost", NULL, NULL, NULL, 6379, 0},
    {"redis://127.0.0.1:1", "127.0.0.1", NULL, NULL, NULL, 1, 0},
    {"redis://h:65535/15", "h", NULL, NULL, NULL, 65535, 15},
    {"redis://my_redis.some-where.example:6380/2147483647", "my_redis.some-where.example", NULL,
     NULL, NULL, 6380, 2147483647},
    {"redis://[::1]", "::1", NULL, NULL, NULL, 6379, 0},
    {"redis://[2001:db8::7]:7000/3", "2001:db8::7", NULL, NULL, NULL, 7000, 3},
    {"redis://:secret@h", "h", NULL, NULL, "secret", 6379, 0},
    {"redis://ann:secret@h:7/1", "h", NULL, "ann", "secret", 7, 1},
    {"redis://ann:@h", "h", NULL, "ann", "", 6379, 0},
    {"redis://:@h", "h", NULL, NULL, NULL, 6379, 0},
    {"redis://a%3an%40:p%2F%3f%25w@h", "h", NULL, "a:n@", "p/?%w", 6379, 0},
    {"redis://:a:b@c@h", "h", NULL, NULL, "a:b@c", 6379, 0},
    {"unix:///run/redis.sock", NULL, "/run/redis.sock", NULL, NULL, 0, 0},
    {"unix:///run/redis.sock?db=9", NULL, "/run/redis.sock", NULL, NULL, 0, 9},
    {"unix:///a%20b%3Fc", NULL, "/a b?c", NULL, NULL, 0, 0},
};

static const char *const bad_urls[] = {
    "",
    "localhost",
    "localhost:6379",
    "http://localhost",
    "redis:localhost",
    "redis:/localhost",
    "redis://",
    "redis:///0",
    "redis://:6379",
    "redis://h:",
    "redis://h:0",
    "redis://h:65536",
    "redis://h:99999999999",
    "redis://h:-1",
    "redis://h:6379x",
    "redis://h/x",
    "redis://h/-1",
    "redis://h/1/2",
    "redis://h/2147483648",
    "redis://h/0?x=1",
    "redis://h?db=1",
    "redis://h#1",
    "redis://ann@h",
    "redis://:%@h",
    "redis://:%1@h",
    "redis://:%zz@h",
    "redis://:%00@h",
    "redis://h%2",
    "redis://[::1",
    "redis://[::g]",
    "redis://[]",
    "redis://[::1]6379",
    "redis://::1",
    "redis://a b",
    "unix://",
    "unix:///",
    "unix://relative",
    "unix:///p?db=",
    "unix:///p?db=x",
    "unix:///p?x=1",
    "unix:///p?db=1&x=2",
};

static void check_text(const char *got, const char *expected)
{
    struct slice missing = slice_str("(nothing)");
    CU_ASSERT(slice_equals(got != NULL ? slice_str(got) : missing,
                           expected != NULL ? slice_str(expected) : missing));
}

static void takes_every_form_of_the_contract(void)
{
    for (size_t i = 0; i < sizeof good_urls / sizeof *good_urls; i++) {
        const struct good_url *good = &good_urls[i];
        struct redis_url url;
        const char *why = NULL;
        CU_ASSERT_EQUAL(redis_url_parse(good->text, &url, &why), ERR_OK);
        if (why != NULL)
            fprintf(stderr, "%s: %s\n", good->text, why);
        check_text(url.host, good->host);
        check_text(url.unix_path, good->unix_path);
        check_text(url.user, good->user);
        check_text(url.password, good->password);
        CU_ASSERT(good->unix_path != NULL || url.port == good->port);
        CU_ASSERT_EQUAL(url.db, good->db);
        redis_url_fini(&url);
    }
}

static void refuses_everything_else_with_a_reason(void)
{
    for (size_t i = 0; i < sizeof bad_urls / sizeof *bad_urls; i++) {
        struct redis_url url;
        const char *why = NULL;
        enum err err = redis_url_parse(bad_urls[i], &url, &why);
        CU_ASSERT_EQUAL(err, ERR_INVALID);
        if (err != ERR_INVALID)
            fprintf(stderr, "taken: %s\n", bad_urls[i]);
        CU_ASSERT_PTR_NOT_NULL(why);
        CU_ASSERT(url.host == NULL && url.unix_path == NULL && url.user == NULL &&
                  url.password == NULL);
        redis_url_fini(&url);
    }
}

static void refuses_tls_and_names_the_way_out(void)
{
    struct redis_url url;
    const char *why = NULL;
    CU_ASSERT_EQUAL(redis_url_parse("rediss://:secret@h", &url, &why), ERR_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "stunnel"));
    CU_ASSERT_PTR_NULL(strstr(why, "secret"));
}

/* 107 bytes and the terminator fill sun_path. */
static void bounds_the_socket_path(void)
{
    for (size_t len = 106; len <= 108; len++) {
        char text[256] = "unix://";
        struct redis_url url;
        const char *why = NULL;
        memset(text + 7, 'p', len);
        text[7] = '/';
        text[7 + len] = '\0';
        CU_ASSERT_EQUAL(redis_url_parse(text, &url, &why), len <= 107 ? ERR_OK : ERR_INVALID);
        redis_url_fini(&url);
    }
}

static void bounds_the_host(void)
{
    for (size_t len = 252; len <= 254; len++) {
        char text[512] = "redis://";
        struct redis_url url;
        const char *why = NULL;
        memset(text + 8, 'h', len);
        text[8 + len] = '\0';
        CU_ASSERT_EQUAL(redis_url_parse(text, &url, &why), len <= 253 ? ERR_OK : ERR_INVALID);
        redis_url_fini(&url);
    }
}

CU_TestInfo redis_url_tests[] = {
    {"takes_every_form_of_the_contract", takes_every_form_of_the_contract},
    {"refuses_everything_else_with_a_reason", refuses_everything_else_with_a_reason},
    {"refuses_tls_and_names_the_way_out", refuses_tls_and_names_the_way_out},
    {"bounds_the_socket_path", bounds_the_socket_path},
    {"bounds_the_host", bounds_the_host},
    CU_TEST_INFO_NULL,
};
