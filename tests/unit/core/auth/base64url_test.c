#include "core/auth/base64url.h"

#include <CUnit/CUnit.h>

#include "tests/support/jwt.h"

static void every_length_comes_back_as_it_went(void)
{
    unsigned char bytes[70], out[sizeof bytes + 3];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 151 + 250);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct buf text;
        size_t got;
        buf_init(&text, 200);
        base64url_append(&text, slice_of(bytes, len));
        CU_ASSERT_TRUE(base64url_decoded_max(text.len) >= len);
        CU_ASSERT_TRUE_FATAL(base64url_decode(buf_slice(&text), out, &got));
        CU_ASSERT_TRUE(slice_equals(slice_of(out, got), slice_of(bytes, len)));
        buf_fini(&text);
    }
}

static void anything_but_the_one_form_is_refused(void)
{
    static const char *const rows[] = {
        "A",    "AAAAA",                  /* no whole byte */
        "AB",   "AAB",   "____B",         /* bits are left over that are not zero */
        "AA==", "AAA=",  "=",     "AA=A", /* padding */
        "A+AA", "A/AA",                   /* the other alphabet */
        " AAA", "AAA ",  "AA\nA", "AA\tA", "A.AA", "A\x80\x80\x41", "AA\x7F\x41",
    };
    unsigned char out[16];
    size_t len;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (base64url_decode(slice_str(rows[i]), out, &len))
            CU_FAIL(rows[i]);
    CU_ASSERT_FALSE(base64url_decode(slice_of("AA\0A", 4), out, &len));
}

static void the_other_alphabet_of_two_is_taken(void)
{
    unsigned char out[8];
    size_t len;
    CU_ASSERT_TRUE(base64url_decode(slice_str("-_-_"), out, &len));
    CU_ASSERT_TRUE(slice_equals(slice_of(out, len), slice_of("\xFB\xFF\xBF", 3)));
}

CU_TestInfo base64url_tests[] = {
    {"every_length_comes_back_as_it_went", every_length_comes_back_as_it_went},
    {"anything_but_the_one_form_is_refused", anything_but_the_one_form_is_refused},
    {"the_other_alphabet_of_two_is_taken", the_other_alphabet_of_two_is_taken},
    CU_TEST_INFO_NULL,
};
