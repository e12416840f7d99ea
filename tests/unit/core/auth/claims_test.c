#include "core/auth/claims.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

enum { NOW_S = 1700000000 };

static const struct claims_opts anybody = {.now_ms = NOW_S * 1000ULL};

/* Reads the claims `{"sub":"anna","exp":…,` and the rest of them. */
static struct user *read(const char *members, const struct claims_opts *opts, const char **why)
{
    struct user *user = NULL;
    struct buf json;
    buf_init(&json, 64 * 1024);
    buf_printf(&json, "{\"sub\":\"anna\",\"exp\":%d", NOW_S + 60);
    buf_append_str(&json, *members != '\0' ? "," : "");
    buf_append_str(&json, members);
    buf_append_char(&json, '}');
    *why = NULL;
    enum err err = claims_read(buf_slice(&json), opts, &user, why);
    CU_ASSERT_EQUAL(err, user != NULL ? ERR_OK : ERR_INVALID);
    CU_ASSERT_EQUAL(*why == NULL, user != NULL);
    buf_fini(&json);
    return user;
}

static bool is_good(const char *members, const struct claims_opts *opts)
{
    const char *why;
    struct user *user = read(members, opts, &why);
    bool good = user != NULL;
    user_release(user);
    return good;
}

static bool is_good_json(const char *json)
{
    struct user *user = NULL;
    const char *why = NULL;
    enum err err = claims_read(slice_str(json), &anybody, &user, &why);
    CU_ASSERT_EQUAL(err == ERR_OK, user != NULL);
    user_release(user);
    return err == ERR_OK;
}

static void assert_good(const char *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_good(rows[i], &anybody))
            CU_FAIL(rows[i]);
}

static void assert_bad(const char *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_good(rows[i], &anybody))
            CU_FAIL(rows[i]);
}

#define ASSERT_GOOD(rows) assert_good(rows, sizeof(rows) / sizeof *(rows))
#define ASSERT_BAD(rows)  assert_bad(rows, sizeof(rows) / sizeof *(rows))

static void a_user_has_what_the_claims_say(void)
{
    const char *why;
    struct user *user =
        read("\"name\":\"Anna Ä.\",\"scope\":\"read publish\",\"other\":[1,{}]", &anybody, &why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(user);
    CU_ASSERT_TRUE(slice_equals_str(user->id, "anna"));
    CU_ASSERT_TRUE(slice_equals_str(user->name, "Anna Ä."));
    CU_ASSERT_EQUAL(user->expires_ms, (NOW_S + 60) * 1000ULL);
    CU_ASSERT_EQUAL(user->scopes, USER_SCOPE_PUBLISH);
    CU_ASSERT_FALSE(user->has_grants);
    user_release(user);
}

static void only_an_object_has_claims(void)
{
    static const char *const rows[] = {
        "",
        "{",
        "[]",
        "null",
        "\"sub\"",
        "1",
        "{}",
        "{\"sub\":\"a\",\"exp\":9999999999}x",
        "{\"sub\":\"a\",\"exp\":9999999999}{}",
        "{\"sub\":\"a\",\"exp\":9999999999,}",
        "{\"sub\":\"a\",\"exp\":9999999999,\"sub\":\"a\"}",
        "{\"sub\":\"a\",\"exp\":1,\"exp\":9999999999}",
        "{\"sub\":\"a\",\"exp\":9999999999,\"x\":{\"y\":1,\"y\":1}}",
        "{\"sub\":\"a\",\"exp\":9999999999,\"x\":NaN}",
        "\xEF\xBB\xBF{\"sub\":\"a\",\"exp\":9999999999}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_good_json(rows[i]))
            CU_FAIL(rows[i]);
    CU_ASSERT_TRUE(is_good_json("{\"sub\":\"a\",\"exp\":9999999999}"));
    CU_ASSERT_TRUE(is_good_json(" {\"sub\":\"a\",\n\"exp\":9999999999} "));
}

static bool is_good_at(const char *exp, long now_ms)
{
    char json[128];
    struct user *user = NULL;
    const char *why = NULL;
    struct claims_opts opts = {.now_ms = (uint64_t)now_ms};
    snprintf(json, sizeof json, "{\"sub\":\"a\",\"exp\":%s}", exp);
    enum err err = claims_read(slice_str(json), &opts, &user, &why);
    user_release(user);
    return err == ERR_OK;
}

static void a_token_lives_until_its_exp_and_a_leeway(void)
{
    CU_ASSERT_TRUE(is_good_at("1000", 1000 * 1000 + 29999));
    CU_ASSERT_FALSE(is_good_at("1000", 1000 * 1000 + 30000));
    CU_ASSERT_FALSE(is_good_at("1000", 1000 * 1000 + 30001));
    CU_ASSERT_TRUE(is_good_at("1000.5", 1000 * 1000 + 30499));
    CU_ASSERT_FALSE(is_good_at("1000.5", 1000 * 1000 + 30500));
    CU_ASSERT_TRUE(is_good_at("1e3", 1000 * 1000));
    CU_ASSERT_TRUE(is_good_at("0", 0));
}

static void exp_is_a_number_within_reason(void)
{
    static const char *const bad[] = {"null",
                                      "\"1000\"",
                                      "\"\"",
                                      "true",
                                      "[1000]",
                                      "{}",
                                      "-1",
                                      "-0.001",
                                      "-1e300",
                                      "1e300",
                                      "253402300800",
                                      "9223372036854775807",
                                      "18446744073709551616",
                                      "1e18",
                                      "1e400",
                                      "01000",
                                      "1000.",
                                      "+1000",
                                      "0x3e8",
                                      "Infinity"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (is_good_at(bad[i], 0))
            CU_FAIL(bad[i]);
    CU_ASSERT_TRUE(is_good_at("253402300799", 0));
    CU_ASSERT_FALSE(is_good_json("{\"sub\":\"a\"}"));
}

static void nbf_is_waited_for_less_a_leeway(void)
{
    static const char *const good[] = {"\"nbf\":0",          "\"nbf\":1700000000",
                                       "\"nbf\":1700000030", "\"nbf\":1700000029.999",
                                       "\"iat\":9999999999", "\"iat\":\"whenever\""};
    static const char *const bad[] = {"\"nbf\":1700000031", "\"nbf\":1700000030.5", "\"nbf\":\"0\"",
                                      "\"nbf\":null",       "\"nbf\":1e300",        "\"nbf\":-1",
                                      "\"nbf\":[0]",        "\"nbf\":true"};
    ASSERT_GOOD(good);
    ASSERT_BAD(bad);
}

static void iss_is_checked_when_one_is_asked_for(void)
{
    struct claims_opts opts = {.now_ms = anybody.now_ms, .issuer = "https://a.example"};
    CU_ASSERT_TRUE(is_good("\"iss\":\"https://a.example\"", &opts));
    CU_ASSERT_FALSE(is_good("\"iss\":\"https://a.example/\"", &opts));
    CU_ASSERT_FALSE(is_good("\"iss\":\"https://b.example\"", &opts));
    CU_ASSERT_FALSE(is_good("\"iss\":[\"https://a.example\"]", &opts));
    CU_ASSERT_FALSE(is_good("\"iss\":\"\"", &opts));
    CU_ASSERT_FALSE(is_good("\"iss\":null", &opts));
    CU_ASSERT_FALSE(is_good("", &opts));
    CU_ASSERT_TRUE(is_good("\"iss\":\"whoever\"", &anybody));
}

static void aud_is_checked_when_one_is_asked_for(void)
{
    struct claims_opts opts = {.now_ms = anybody.now_ms, .audience = "chat"};
    CU_ASSERT_TRUE(is_good("\"aud\":\"chat\"", &opts));
    CU_ASSERT_TRUE(is_good("\"aud\":[\"chat\"]", &opts));
    CU_ASSERT_TRUE(is_good("\"aud\":[\"mail\",\"chat\"]", &opts));
    CU_ASSERT_FALSE(is_good("\"aud\":\"mail\"", &opts));
    CU_ASSERT_FALSE(is_good("\"aud\":\"chat mail\"", &opts));
    CU_ASSERT_FALSE(is_good("\"aud\":[]", &opts));
    CU_ASSERT_FALSE(is_good("\"aud\":[\"mail\"]", &opts));
    CU_ASSERT_FALSE(is_good("\"aud\":[\"chat\",1]", &opts));
    CU_ASSERT_FALSE(is_good("\"aud\":[[\"chat\"]]", &opts));
    CU_ASSERT_FALSE(is_good("\"aud\":{\"chat\":\"chat\"}", &opts));
    CU_ASSERT_FALSE(is_good("\"aud\":null", &opts));
    CU_ASSERT_FALSE(is_good("", &opts));
    CU_ASSERT_TRUE(is_good("\"aud\":\"mail\"", &anybody));
}

static void sub_is_the_name_of_a_user(void)
{
    static const char *const bad[] = {"null",      "1",           "[\"a\"]",  "\"\"",
                                      "\"a/b\"",   "{}",          "\"a\\n\"", "\"\\u0000\"",
                                      "\"a\\/b\"", "\"\\u007f\"", "true",     "\"\\u0085\""};
    char json[256];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(json, sizeof json, "{\"exp\":9999999999,\"sub\":%s}", bad[i]);
        if (is_good_json(json))
            CU_FAIL(bad[i]);
    }
    CU_ASSERT_FALSE(is_good_json("{\"exp\":9999999999}"));
    CU_ASSERT_TRUE(is_good_json("{\"exp\":9999999999,\"sub\":\"\\u00e4:@\"}"));
    for (int len = 122; len <= 124; len++) {
        snprintf(json, sizeof json, "{\"exp\":9999999999,\"sub\":\"%0*d\"}", len, 0);
        CU_ASSERT_EQUAL(is_good_json(json), len <= USER_ID_MAX);
    }
}

static void names_are_short_and_printable(void)
{
    static const char *const bad[] = {"\"name\":1",           "\"name\":null",
                                      "\"name\":\"a\\nb\"",   "\"name\":[\"a\"]",
                                      "\"name\":\"\\u0000\"", "\"name\":\"\\u009f\""};
    char members[256];
    ASSERT_BAD(bad);
    for (int len = 63; len <= 65; len++) {
        snprintf(members, sizeof members, "\"name\":\"%0*d\"", len, 0);
        CU_ASSERT_EQUAL(is_good(members, &anybody), len <= USER_NAME_MAX);
    }
    const char *why;
    struct user *user = read("\"name\":\"\"", &anybody, &why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(user);
    CU_ASSERT_PTR_NULL(user->name.ptr);
    user_release(user);
}

static unsigned scopes_of(const char *members)
{
    const char *why;
    struct user *user = read(members, &anybody, &why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(user);
    unsigned scopes = user->scopes;
    user_release(user);
    return scopes;
}

static void scopes_are_words_or_an_array(void)
{
    static const char *const bad[] = {"\"scope\":1", "\"scope\":null", "\"scope\":[1]",
                                      "\"scope\":{}", "\"scope\":[[\"admin\"]]"};
    CU_ASSERT_EQUAL(scopes_of(""), 0);
    CU_ASSERT_EQUAL(scopes_of("\"scope\":\"\""), 0);
    CU_ASSERT_EQUAL(scopes_of("\"scope\":\"admin\""), USER_SCOPE_ADMIN);
    CU_ASSERT_EQUAL(scopes_of("\"scope\":\" publish  admin \""),
                    USER_SCOPE_ADMIN | USER_SCOPE_PUBLISH);
    CU_ASSERT_EQUAL(scopes_of("\"scope\":\"adminx xadmin publish:all Admin\""), 0);
    CU_ASSERT_EQUAL(scopes_of("\"scope\":[\"publish\",\"x\"]"), USER_SCOPE_PUBLISH);
    CU_ASSERT_EQUAL(scopes_of("\"scope\":[]"), 0);
    ASSERT_BAD(bad);
}

static void other_claims_may_hold_anything(void)
{
    static const char *const good[] = {
        "\"uid\":9223372036854775807",
        "\"uid\":9223372036854775808",
        "\"uid\":18446744073709551615",
        "\"uid\":-9223372036854775809",
        "\"a\":{\"b\":[1234567890123456789012345678901234567890]}",
        "\"text\":\"a\\u0000b\"",
        "\"a\":null,\"b\":[],\"c\":true,\"d\":1e300",
    };
    ASSERT_GOOD(good);
}

static void rooms_are_grants(void)
{
    const char *why;
    struct user *user = read("\"rooms\":[{\"match\":\"channel:*\"},{\"can\":[\"join\"],\"match\":"
                             "\"news\"},{\"match\":\"box\",\"can\":[\"publish\",\"publish\"]},"
                             "{\"match\":\"none\",\"can\":[]}]",
                             &anybody, &why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(user);
    CU_ASSERT_TRUE(user->has_grants);
    CU_ASSERT_EQUAL_FATAL(user->grants_count, 4);
    CU_ASSERT_EQUAL(user->grants[0].can, USER_JOIN | USER_PUBLISH);
    CU_ASSERT_EQUAL(user->grants[1].can, USER_JOIN);
    CU_ASSERT_EQUAL(user->grants[2].can, USER_PUBLISH);
    CU_ASSERT_EQUAL(user->grants[3].can, 0);
    CU_ASSERT_TRUE(slice_equals_str(user->grants[0].pattern, "channel:*"));
    CU_ASSERT_TRUE(slice_equals_str(user->grants[3].pattern, "none"));
    user_release(user);
    user = read("\"rooms\":[]", &anybody, &why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(user);
    CU_ASSERT_TRUE(user->has_grants);
    user_release(user);
}

static void malformed_grants_are_refused(void)
{
    static const char *const bad[] = {
        "\"rooms\":null",
        "\"rooms\":{}",
        "\"rooms\":\"channel:*\"",
        "\"rooms\":[\"channel:*\"]",
        "\"rooms\":[null]",
        "\"rooms\":[[]]",
        "\"rooms\":[{}]",
        "\"rooms\":[{\"can\":[\"join\"]}]",
        "\"rooms\":[{\"match\":1}]",
        "\"rooms\":[{\"match\":\"\"}]",
        "\"rooms\":[{\"match\":[\"a\"]}]",
        "\"rooms\":[{\"match\":\"a\",\"can\":\"join\"}]",
        "\"rooms\":[{\"match\":\"a\",\"can\":null}]",
        "\"rooms\":[{\"match\":\"a\",\"can\":{}}]",
        "\"rooms\":[{\"match\":\"a\",\"can\":[\"read\"]}]",
        "\"rooms\":[{\"match\":\"a\",\"can\":[\"join\",1]}]",
        "\"rooms\":[{\"match\":\"a\",\"can\":[\"Join\"]}]",
        "\"rooms\":[{\"match\":\"a\",\"cannot\":[\"join\"]}]",
        "\"rooms\":[{\"match\":\"a\"},{\"match\":\"\"}]",
        "\"rooms\":[{\"match\":\"a\",\"match\":\"b\"}]",
    };
    ASSERT_BAD(bad);
}

static void grants_are_bounded(void)
{
    struct buf members;
    buf_init(&members, 64 * 1024);
    for (size_t count = USER_GRANTS_MAX - 1; count <= USER_GRANTS_MAX + 1; count++) {
        buf_clear(&members);
        for (size_t i = 0; i < count; i++)
            buf_append_str(&members,
                           i == 0 ? "\"rooms\":[{\"match\":\"a\"}" : ",{\"match\":\"a\"}");
        buf_append(&members, "]", 2);
        CU_ASSERT_EQUAL(is_good(members.ptr, &anybody), count <= USER_GRANTS_MAX);
    }
    for (int len = USER_PATTERN_MAX - 1; len <= USER_PATTERN_MAX + 1; len++) {
        buf_clear(&members);
        buf_printf(&members, "\"rooms\":[{\"match\":\"%0*d\"}]", len, 0);
        buf_append_char(&members, '\0');
        CU_ASSERT_EQUAL(is_good(members.ptr, &anybody), len <= USER_PATTERN_MAX);
    }
    buf_fini(&members);
}

static void the_first_rule_that_is_broken_is_named(void)
{
    const char *why;
    CU_ASSERT_PTR_NULL(read("\"nbf\":\"x\",\"name\":1", &anybody, &why));
    CU_ASSERT_PTR_NOT_NULL_FATAL(why);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "nbf"));
}

static void without_memory_there_is_no_user(void)
{
    struct user *user = NULL;
    const char *why = NULL;
    mem_fail_after(1);
    CU_ASSERT_EQUAL(
        claims_read(slice_str("{\"sub\":\"a\",\"exp\":9999999999}"), &anybody, &user, &why),
        ERR_NOMEM);
    mem_fail_after(0);
    CU_ASSERT_PTR_NULL(user);
    CU_ASSERT_PTR_NOT_NULL(why);
}

CU_TestInfo claims_tests[] = {
    {"a_user_has_what_the_claims_say", a_user_has_what_the_claims_say},
    {"only_an_object_has_claims", only_an_object_has_claims},
    {"a_token_lives_until_its_exp_and_a_leeway", a_token_lives_until_its_exp_and_a_leeway},
    {"exp_is_a_number_within_reason", exp_is_a_number_within_reason},
    {"nbf_is_waited_for_less_a_leeway", nbf_is_waited_for_less_a_leeway},
    {"iss_is_checked_when_one_is_asked_for", iss_is_checked_when_one_is_asked_for},
    {"aud_is_checked_when_one_is_asked_for", aud_is_checked_when_one_is_asked_for},
    {"sub_is_the_name_of_a_user", sub_is_the_name_of_a_user},
    {"names_are_short_and_printable", names_are_short_and_printable},
    {"scopes_are_words_or_an_array", scopes_are_words_or_an_array},
    {"other_claims_may_hold_anything", other_claims_may_hold_anything},
    {"rooms_are_grants", rooms_are_grants},
    {"malformed_grants_are_refused", malformed_grants_are_refused},
    {"grants_are_bounded", grants_are_bounded},
    {"the_first_rule_that_is_broken_is_named", the_first_rule_that_is_broken_is_named},
    {"without_memory_there_is_no_user", without_memory_there_is_no_user},
    CU_TEST_INFO_NULL,
};
