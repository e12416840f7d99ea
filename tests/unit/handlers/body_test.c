/* What the head says is tested end to end: it needs libmicrohttpd. */
#include "handlers/body.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "core/base/mem.h"

static char block[64 * 1024];

/* Feeds `len` bytes in pieces. False: the connection was given up. */
static bool feed(struct body *body, bool keep, size_t len, size_t piece)
{
    while (len != 0) {
        size_t now = len < piece ? len : piece;
        if (!body_take(body, keep, block, now))
            return false;
        len -= now;
    }
    return true;
}

static void a_body_is_kept_up_to_its_bound(void)
{
    static const size_t pieces[] = {1000, 4096, sizeof block};
    memset(block, 'x', sizeof block);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        for (size_t len = REQUEST_BODY_MAX - 1; len <= REQUEST_BODY_MAX + 1; len++) {
            struct body body;
            body_init(&body);
            CU_ASSERT_TRUE(feed(&body, true, len, pieces[i]));
            struct refusal refusal = body_check_whole(&body);
            CU_ASSERT_EQUAL(refusal.status,
                            len <= REQUEST_BODY_MAX ? 0 : MHD_HTTP_CONTENT_TOO_LARGE);
            CU_ASSERT_EQUAL(body.bytes.len, len <= REQUEST_BODY_MAX ? len : 0);
            body_fini(&body);
        }
    }
}

static void past_its_bound_nothing_is_kept(void)
{
    struct body body;
    body_init(&body);
    CU_ASSERT_TRUE(feed(&body, true, 3 * REQUEST_BODY_MAX, sizeof block));
    CU_ASSERT_EQUAL(body.bytes.cap, 0);
    CU_ASSERT_TRUE(feed(&body, true, REQUEST_SWALLOW_MAX - body.len, sizeof block));
    CU_ASSERT_FALSE(body_take(&body, true, block, 1));
    body_fini(&body);
}

static void an_unwanted_body_is_not_kept(void)
{
    struct body body;
    body_init(&body);
    CU_ASSERT_TRUE(feed(&body, false, REQUEST_SWALLOW_MAX, sizeof block));
    CU_ASSERT_EQUAL(body.bytes.cap, 0);
    CU_ASSERT_FALSE(body_take(&body, false, block, 1));
    body_fini(&body);
}

static void no_memory_is_a_503(void)
{
    for (unsigned nth = 1; nth <= 4; nth++) {
        struct body body;
        body_init(&body);
        mem_fail_after(nth);
        CU_ASSERT_TRUE(feed(&body, true, 8192, 1024));
        mem_fail_after(0);
        CU_ASSERT_TRUE(feed(&body, true, 100, 100));
        CU_ASSERT_EQUAL(body_check_whole(&body).status, MHD_HTTP_SERVICE_UNAVAILABLE);
        CU_ASSERT_EQUAL(body.bytes.len, 0);
        body_fini(&body);
    }
}

static void no_body_is_a_good_one(void)
{
    struct body body;
    body_init(&body);
    CU_ASSERT_EQUAL(body_check_whole(&body).status, 0);
    body_fini(&body);
}

CU_TestInfo body_tests[] = {
    {"a_body_is_kept_up_to_its_bound", a_body_is_kept_up_to_its_bound},
    {"past_its_bound_nothing_is_kept", past_its_bound_nothing_is_kept},
    {"an_unwanted_body_is_not_kept", an_unwanted_body_is_not_kept},
    {"no_memory_is_a_503", no_memory_is_a_503},
    {"no_body_is_a_good_one", no_body_is_a_good_one},
    CU_TEST_INFO_NULL,
};
