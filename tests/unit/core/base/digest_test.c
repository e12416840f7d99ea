#include "core/base/digest.h"

#include <CUnit/CUnit.h>
#include <string.h>

static struct digest of_two(const char *a, const char *b)
{
    const struct slice texts[] = {slice_str(a), slice_str(b)};
    return digest_of(texts, 2);
}

static void equal_texts_have_equal_digests(void)
{
    struct digest a = of_two("key", "body"), b = of_two("key", "body");
    CU_ASSERT_TRUE(digest_equals(&a, &b));
}

static void another_text_has_another_digest(void)
{
    static const char *const rows[][2] = {
        {"key", "bodx"}, {"kex", "body"}, {"keyb", "ody"}, {"", "keybody"},
        {"keybody", ""}, {"body", "key"}, {"", ""},
    };
    struct digest a = of_two("key", "body");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct digest b = of_two(rows[i][0], rows[i][1]);
        CU_ASSERT_FALSE(digest_equals(&a, &b));
    }
    struct slice one = slice_str("keybody");
    struct digest b = digest_of(&one, 1);
    CU_ASSERT_FALSE(digest_equals(&a, &b));
}

static void every_octet_counts_in_a_comparison(void)
{
    struct digest a = of_two("key", "body");
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        struct digest b = a;
        b.bytes[i] ^= 1;
        CU_ASSERT_FALSE(digest_equals(&a, &b));
    }
}

CU_TestInfo digest_tests[] = {
    {"equal_texts_have_equal_digests", equal_texts_have_equal_digests},
    {"another_text_has_another_digest", another_text_has_another_digest},
    {"every_octet_counts_in_a_comparison", every_octet_counts_in_a_comparison},
    CU_TEST_INFO_NULL,
};
