#include "core/bus/pod_prefix.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

extern CU_TestInfo pod_prefix_tests[];

static void recognises_another_pod(void)
{
    struct slice payload = slice_str("{\"pod\":\"a-Z.0_9:x\",\"id\":1}");
    struct pod_prefix prefix = pod_prefix_read(payload);
    CU_ASSERT_EQUAL(prefix.origin, POD_ORIGIN_OTHER);
    CU_ASSERT(slice_equals_str(prefix.pod, "a-Z.0_9:x"));
    CU_ASSERT(slice_equals_str(slice_skip(payload, prefix.len), "\"id\":1}"));
}

static void takes_anything_else_for_foreign(void)
{
    static const char *const foreign[] = {
        "",
        "{}",
        "{\"pod\":",
        "{\"pod\":\"",
        "{\"pod\":\"\",\"a\":1}",
        "{\"pod\":\"a\"}",
        "{\"pod\":\"a\",}",
        "{\"pod\":\"a\",\"}",
        "{\"pod\":\"a\",\"\":}",
        "{\"pod\":\"a\", \"b\":1}",
        "{\"pod\":\"a\" ,\"b\":1}",
        "{\"pod\": \"a\",\"b\":1}",
        "{ \"pod\":\"a\",\"b\":1}",
        " {\"pod\":\"a\",\"b\":1}",
        "{\"pod\":\"a\",\"b\":1} ",
        "{\"pod\":\"a\",\"b\":1",
        "{\"pod\":\"a b\",\"b\":1}",
        "{\"pod\":\"a\\u0041\",\"b\":1}",
        "{\"pod\":1,\"b\":1}",
        "{\"Pod\":\"a\",\"b\":1}",
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        struct pod_prefix prefix = pod_prefix_read(slice_str(foreign[i]));
        CU_ASSERT_EQUAL(prefix.origin, POD_ORIGIN_FOREIGN);
        if (prefix.origin != POD_ORIGIN_FOREIGN)
            fprintf(stderr, "taken: %s\n", foreign[i]);
    }
}

/* Each prefix of a good payload stands alone in its buffer, so that a read past it is found. */
static void no_cut_of_a_payload_passes(void)
{
    static const char payload[] = "{\"pod\":\"pod-1\",\"id\":\"x\",\"data\":{}}";
    for (size_t len = 0; len < sizeof payload - 2; len++) {
        char cut[sizeof payload];
        memcpy(cut, payload, len);
        struct pod_prefix prefix = pod_prefix_read(slice_of(cut, len));
        CU_ASSERT_EQUAL(prefix.origin, POD_ORIGIN_FOREIGN);
    }
}

static void bounds_the_id(void)
{
    for (size_t len = 127; len <= 129; len++) {
        char text[256];
        char id[130];
        memset(id, 'i', sizeof id);
        snprintf(text, sizeof text, "{\"pod\":\"%.*s\",\"a\":1}", (int)len, id);
        CU_ASSERT_EQUAL(pod_prefix_read(slice_str(text)).origin,
                        len <= 128 ? POD_ORIGIN_OTHER : POD_ORIGIN_FOREIGN);
    }
}

static void knows_its_own(void)
{
    struct slice own = slice_str("{\"pod\":\"me\"");
    CU_ASSERT_TRUE(pod_prefix_is_own(slice_str("{\"pod\":\"me\",\"a\":1}"), own));
    CU_ASSERT_TRUE(pod_prefix_is_own(slice_str("{\"pod\":\"me\"}"), own));
    CU_ASSERT_FALSE(pod_prefix_is_own(slice_str("{\"pod\":\"me\""), own));
    CU_ASSERT_FALSE(pod_prefix_is_own(slice_str("{\"pod\":\"me2\",\"a\":1}"), own));
    CU_ASSERT_FALSE(pod_prefix_is_own(slice_str("{\"pod\":\"m\",\"a\":1}"), own));
}

CU_TestInfo pod_prefix_tests[] = {
    {"recognises_another_pod", recognises_another_pod},
    {"takes_anything_else_for_foreign", takes_anything_else_for_foreign},
    {"no_cut_of_a_payload_passes", no_cut_of_a_payload_passes},
    {"bounds_the_id", bounds_the_id},
    {"knows_its_own", knows_its_own},
    CU_TEST_INFO_NULL,
};
