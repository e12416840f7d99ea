#include "core/base/utf8.h"

#include <CUnit/CUnit.h>
#include <string.h>

static const char *const valid_texts[] = {
    "",
    "a",
    "plain text, longer than a machine word",
    "\x7F",
    "\xC2\x80",
    "\xDF\xBF",
    "\xE0\xA0\x80",
    "\xED\x9F\xBF",
    "\xEE\x80\x80",
    "\xEF\xBF\xBF",
    "\xF0\x90\x80\x80",
    "\xF4\x8F\xBF\xBF",
    "κόσμε, 12345678 und 😀 dahinter",
};

/* `good` octets may stand before the first that cannot. */
static const struct {
    const char *text;
    size_t good;
} invalid_texts[] = {
    {"\x80", 0},
    {"\xBF", 0},
    {"\xC0\x80", 0},
    {"\xC1\xBF", 0},
    {"\xC2\x7F", 1},
    {"\xC2\xC0", 1},
    {"\xE0\x9F\xBF", 1},
    {"\xE0\x80\x80", 1},
    {"\xED\xA0\x80", 1},
    {"\xED\xBF\xBF", 1},
    {"\xE2\x82z", 2},
    {"\xF0\x8F\xBF\xBF", 1},
    {"\xF4\x90\x80\x80", 1},
    {"\xF1\x80\x80z", 3},
    {"\xF5\x80\x80\x80", 0},
    {"\xFE", 0},
    {"\xFF", 0},
    {"long enough for whole words\x80", 27},
    {"12345678\xC0", 8},
};

static void takes_texts_cut_anywhere(void)
{
    for (size_t i = 0; i < sizeof valid_texts / sizeof *valid_texts; i++) {
        const char *text = valid_texts[i];
        size_t len = strlen(text);
        CU_ASSERT_TRUE(utf8_is_valid(text, len));
        for (size_t first = 0; first <= len; first++) {
            for (size_t second = first; second <= len; second++) {
                struct utf8_state state = {0};
                CU_ASSERT_TRUE(utf8_feed(&state, text, first));
                CU_ASSERT_TRUE(utf8_feed(&state, text + first, second - first));
                CU_ASSERT_TRUE(utf8_feed(&state, text + second, len - second));
                CU_ASSERT_TRUE(utf8_is_complete(&state));
            }
        }
    }
}

static void fails_at_the_very_octet_however_it_is_cut(void)
{
    for (size_t i = 0; i < sizeof invalid_texts / sizeof *invalid_texts; i++) {
        const char *text = invalid_texts[i].text;
        size_t good = invalid_texts[i].good;
        CU_ASSERT_FALSE(utf8_is_valid(text, strlen(text)));
        for (size_t cut = 0; cut <= good; cut++) {
            struct utf8_state state = {0};
            CU_ASSERT_TRUE(utf8_feed(&state, text, cut));
            CU_ASSERT_TRUE(utf8_feed(&state, text + cut, good - cut));
            CU_ASSERT_FALSE(utf8_feed(&state, text + good, 1));
        }
    }
}

static void a_text_may_not_end_within_a_code_point(void)
{
    static const char *const cut_short[] = {"\xC2",     "\xE2",         "\xE2\x82",    "\xF0",
                                            "\xF0\x9F", "\xF0\x9F\x98", "word\xF0\x9F"};
    for (size_t i = 0; i < sizeof cut_short / sizeof *cut_short; i++) {
        struct utf8_state state = {0};
        size_t len = strlen(cut_short[i]);
        CU_ASSERT_TRUE(utf8_feed(&state, cut_short[i], len));
        CU_ASSERT_FALSE(utf8_is_complete(&state));
        CU_ASSERT_FALSE(utf8_is_valid(cut_short[i], len));
    }
}

static size_t encode(uint32_t point, unsigned char *out)
{
    static const unsigned char leads[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    size_t len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, point >>= 6)
        out[i] = (unsigned char)(0x80 | (point & 0x3F));
    out[0] = (unsigned char)(leads[len] | point);
    return len;
}

static void every_code_point_but_surrogates_is_taken(void)
{
    unsigned char octets[4];
    for (uint32_t point = 0; point < 0x110000; point++) {
        bool is_surrogate = point >= 0xD800 && point <= 0xDFFF;
        if (utf8_is_valid(octets, encode(point, octets)) == is_surrogate)
            CU_FAIL("a code point is judged wrongly");
    }
    CU_ASSERT_FALSE(utf8_is_valid(octets, encode(0x110000, octets)));
}

/* With the code points above this leaves no sequence of up to two octets, and none that starts like
 * three, untried. */
static void no_other_pair_of_octets_is_taken(void)
{
    for (unsigned first = 0x80; first < 0x100; first++) {
        for (unsigned second = 0; second < 0x100; second++) {
            unsigned char octets[] = {(unsigned char)first, (unsigned char)second};
            bool is_pair = first >= 0xC2 && first <= 0xDF && (second & 0xC0) == 0x80;
            if (utf8_is_valid(octets, 2) != is_pair)
                CU_FAIL("a pair is judged wrongly");
        }
    }
}

static void finds_control_characters(void)
{
    static const struct {
        const char *text;
        bool has_control;
    } rows[] = {
        {"", false},          {"room", false},         {"\x1F", true},
        {" ", false},         {"a\nb", true},          {"~", false},
        {"\x7F", true},       {"\xC2\x80", true},      {"\xC2\x9F", true},
        {"\xC2\xA0", false},  {"é€😀", false},          {"\xC3\x80", false},
        {"a\xC2\x85z", true}, {"\xE2\x82\x80", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CU_ASSERT_EQUAL(utf8_has_control(rows[i].text, strlen(rows[i].text)), rows[i].has_control);
    CU_ASSERT_TRUE(utf8_has_control("a\0b", 3));
}

CU_TestInfo utf8_tests[] = {
    {"takes_texts_cut_anywhere", takes_texts_cut_anywhere},
    {"fails_at_the_very_octet_however_it_is_cut", fails_at_the_very_octet_however_it_is_cut},
    {"a_text_may_not_end_within_a_code_point", a_text_may_not_end_within_a_code_point},
    {"every_code_point_but_surrogates_is_taken", every_code_point_but_surrogates_is_taken},
    {"no_other_pair_of_octets_is_taken", no_other_pair_of_octets_is_taken},
    {"finds_control_characters", finds_control_characters},
    CU_TEST_INFO_NULL,
};
