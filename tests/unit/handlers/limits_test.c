#include "handlers/limits.h"

#include <CUnit/CUnit.h>

#include "core/auth/user.h"
#include "core/limit/address.h"

static const uint64_t second_ns = 1000000000;

/* Messages 3/1m, typing off, presence 2/1m, connects 1/1m. */
static struct limits *make(void)
{
    const struct limit limits[LIMITS_CLASSES] = {
        [EVENT_MESSAGES] = {.count = 3, .period_ms = 60000},
        [EVENT_PRESENCE] = {.count = 2, .period_ms = 60000},
        [LIMITS_CONNECTS] = {.count = 1, .period_ms = 60000},
    };
    return limits_create(limits);
}

static unsigned take_many(struct limits *limits, unsigned class, const char *key, unsigned tries)
{
    struct limits_answer answer;
    unsigned taken = 0;
    for (unsigned i = 0; i < tries; i++)
        taken += limits_take(limits, class, slice_str(key), second_ns, &answer);
    return taken;
}

static void each_class_has_its_limit_and_its_count(void)
{
    struct limits *limits = make();
    CU_ASSERT_EQUAL(take_many(limits, EVENT_MESSAGES, "uanna", 10), 3);
    CU_ASSERT_EQUAL(take_many(limits, EVENT_PRESENCE, "uanna", 10), 2);
    CU_ASSERT_EQUAL(take_many(limits, LIMITS_CONNECTS, "uanna", 10), 1);
    CU_ASSERT_EQUAL(limits_refused_total(limits, EVENT_MESSAGES), 7);
    CU_ASSERT_EQUAL(limits_refused_total(limits, EVENT_PRESENCE), 8);
    CU_ASSERT_EQUAL(limits_refused_total(limits, LIMITS_CONNECTS), 9);
    limits_destroy(limits);
    limits_destroy(NULL);
}

static void what_is_off_or_unlimited_is_not_counted(void)
{
    struct limits *limits = make();
    CU_ASSERT_EQUAL(take_many(limits, EVENT_TYPING, "uanna", 1000), 1000);
    CU_ASSERT_EQUAL(take_many(limits, EVENT_UNLIMITED, "uanna", 1000), 1000);
    CU_ASSERT_EQUAL(limits_refused_total(limits, EVENT_TYPING), 0);
    limits_destroy(limits);
}

static void a_refusal_tells_what_is_limited_and_for_how_long(void)
{
    struct limits *limits = make();
    struct limits_answer answer;
    take_many(limits, EVENT_PRESENCE, "uanna", 2);
    CU_ASSERT_FALSE(limits_take(limits, EVENT_PRESENCE, slice_str("uanna"), second_ns, &answer));
    CU_ASSERT_STRING_EQUAL(answer.refused.class, "presence");
    CU_ASSERT_EQUAL(answer.refused.limit->count, 2);
    CU_ASSERT_EQUAL(answer.refused.retry_after_ms, 30000);
    /* Honest to the millisecond. */
    CU_ASSERT_FALSE(limits_take(limits, EVENT_PRESENCE, slice_str("uanna"),
                                second_ns + 29999 * 1000000ULL, &answer));
    CU_ASSERT_EQUAL(answer.refused.retry_after_ms, 1);
    CU_ASSERT_TRUE(limits_take(limits, EVENT_PRESENCE, slice_str("uanna"),
                               second_ns + 30000 * 1000000ULL, &answer));
    CU_ASSERT_PTR_NULL(answer.refused.limit);
    limits_destroy(limits);
}

static void users_and_addresses_have_different_keys(void)
{
    static const struct {
        const char *user, *address, *key;
    } rows[] = {
        {"anna", NULL, "uanna"},
        {"anna", "192.0.2.1", "uanna"},
        {NULL, "192.0.2.1", "a00000000000000000000ffffc0000201"},
        {NULL, "2001:db8:0:1:ab::1", "a20010db800000001"},
        {NULL, "2001:db8:0:1::2", "a20010db800000001"},
        {NULL, NULL, "a"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct address address;
        char bytes[LIMITER_KEY_MAX];
        if (rows[i].address != NULL)
            CU_ASSERT_TRUE_FATAL(address_parse(slice_str(rows[i].address), &address));
        struct slice key =
            limits_key(slice_str(rows[i].user), rows[i].address != NULL ? &address : NULL, bytes);
        CU_ASSERT_TRUE(slice_equals_str(key, rows[i].key));
    }
}

static void the_longest_id_fits(void)
{
    char id[LIMITER_KEY_MAX], bytes[LIMITER_KEY_MAX];
    memset(id, 'x', sizeof id);
    CU_ASSERT_TRUE_FATAL((int)USER_ID_MAX < (int)LIMITER_KEY_MAX);
    CU_ASSERT_EQUAL(limits_key(slice_of(id, USER_ID_MAX), NULL, bytes).len, USER_ID_MAX + 1);
}

static void reports_of_other_pods_count(void)
{
    struct limits *limits = make();
    struct limits_answer answer;
    limits_take_report(limits, slice_str("{\"messages\":{\"uanna\":2,\"u\\\"q\\u00e9\":3},"
                                         "\"presence\":{\"uanna\":2},\"typing\":{\"uanna\":9}}"));
    /* By the clock that reports go by. */
    uint64_t now_ns = 0;
    CU_ASSERT_FALSE(limits_take(limits, EVENT_PRESENCE, slice_str("uanna"), now_ns, &answer));
    CU_ASSERT_EQUAL(take_many(limits, EVENT_TYPING, "uanna", 100), 100);
    CU_ASSERT_EQUAL(take_many(limits, EVENT_MESSAGES, "u\"qé", 1), 0);
    CU_ASSERT_EQUAL(take_many(limits, EVENT_MESSAGES, "uben", 10), 3);
    limits_destroy(limits);
}

static void what_is_no_report_charges_nobody(void)
{
    static const char *const reports[] = {
        "",
        "7",
        "[]",
        "{",
        "{}",
        "{\"messages\":7}",
        "{\"messages\":[\"uanna\"]}",
        "{\"messages\":{\"uanna\":\"3\"}}",
        "{\"messages\":{\"uanna\":-3}}",
        "{\"messages\":{\"uanna\":3.0}}",
        "{\"messages\":{\"uanna\":3e0}}",
        "{\"messages\":{\"uanna\":0}}",
        "{\"messages\":{\"uanna\":9999999999}}",
        "{\"messages\":{\"uanna\":null}}",
        "{\"messages\":{\"uanna\":{\"a\":3}}}",
        "{\"Messages\":{\"uanna\":3}}",
        "{\"unlimited\":{\"uanna\":3}}",
    };
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        struct limits *limits = make();
        limits_take_report(limits, slice_str(reports[i]));
        CU_ASSERT_EQUAL(take_many(limits, EVENT_MESSAGES, "uanna", 10), 3);
        limits_destroy(limits);
    }
}

CU_TestInfo limits_tests[] = {
    {"each_class_has_its_limit_and_its_count", each_class_has_its_limit_and_its_count},
    {"what_is_off_or_unlimited_is_not_counted", what_is_off_or_unlimited_is_not_counted},
    {"a_refusal_tells_what_is_limited_and_for_how_long",
     a_refusal_tells_what_is_limited_and_for_how_long},
    {"users_and_addresses_have_different_keys", users_and_addresses_have_different_keys},
    {"the_longest_id_fits", the_longest_id_fits},
    {"reports_of_other_pods_count", reports_of_other_pods_count},
    {"what_is_no_report_charges_nobody", what_is_no_report_charges_nobody},
    CU_TEST_INFO_NULL,
};
