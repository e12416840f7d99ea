#include "core/auth/glob.h"

#include <CUnit/CUnit.h>

#include "core/base/mem.h"

static void stars_stand_for_any_run(void)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        {"lobby", "lobby", true},
        {"lobby", "lobb", false},
        {"lobby", "lobby2", false},
        {"lobby", "", false},
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "anything at all", true},
        {"**", "", true},
        {"***", "x", true},
        {"channel:*", "channel:", true},
        {"channel:*", "channel:1", true},
        {"channel:*", "channel", false},
        {"channel:*", "xchannel:1", false},
        {"*:1", "channel:1", true},
        {"*:1", ":1", true},
        {"*:1", "channel:11", false},
        {"*:1", "channel:12", false},
        {"a*b", "ab", true},
        {"a*b", "aXb", true},
        {"a*b", "a", false},
        {"ab*ab", "ab", false},
        {"ab*ba", "aba", false},
        {"ab*ab", "abab", true},
        {"a*b*c", "abc", true},
        {"a*b*c", "aXXbYYc", true},
        {"a*b*c", "acb", false},
        {"a*bc*c", "abcc", true},
        {"a*bc*c", "abc", false},
        {"*a*", "bab", true},
        {"*a*", "bbb", false},
        {"*ab*", "aab", true},
        {"*aab*", "aaab", true},
        {"a?c", "abc", false},
        {"a?c", "a?c", true},
        {"[a]", "a", false},
        {"\\*", "*", false},
        {"\\*", "\\anything", true},
        {"Lobby", "lobby", false},
        {"ä*", "äö", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (glob_matches(slice_str(rows[i].pattern), slice_str(rows[i].text)) != rows[i].matches)
            CU_FAIL(rows[i].pattern);
}

/* The obvious definition, too slow for anything but short texts. */
static bool matches_slowly(const char *pattern, const char *text)
{
    bool at[16] = {true}; /* which lengths of the text the pattern so far stands for */
    size_t len = strlen(text);
    for (; *pattern != '\0'; pattern++) {
        bool next[16] = {false};
        for (size_t i = 0; i <= len; i++) {
            if (*pattern == '*')
                next[i] = at[i] || (i > 0 && next[i - 1]);
            else
                next[i] = i > 0 && at[i - 1] && text[i - 1] == *pattern;
        }
        memcpy(at, next, sizeof at);
    }
    return at[len];
}

/* The n-th text of these letters. */
static void spell(unsigned n, const char *letters, unsigned base, char out[8])
{
    size_t len = 0;
    for (; n != 0; n = (n - 1) / base)
        out[len++] = letters[(n - 1) % base];
    out[len] = '\0';
}

static void agrees_with_the_obvious_definition(void)
{
    char pattern[8], text[8];
    unsigned wrong = 0;
    for (unsigned p = 0; p < 1093; p++) {
        spell(p, "ab*", 3, pattern);
        for (unsigned t = 0; t < 127; t++) {
            spell(t, "ab", 2, text);
            wrong +=
                glob_matches(slice_str(pattern), slice_str(text)) != matches_slowly(pattern, text);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* What takes others exponential time takes no longer than its length here. */
static void many_stars_take_no_time(void)
{
    enum { LEN = 50000 };
    char *text = mem_zalloc(LEN), *pattern = mem_zalloc(LEN);
    memset(text, 'a', LEN);
    for (size_t i = 0; i < LEN; i++)
        pattern[i] = i % 2 == 0 ? 'a' : '*';
    pattern[LEN - 1] = 'b';
    CU_ASSERT_FALSE(glob_matches(slice_of(pattern, LEN), slice_of(text, LEN)));
    pattern[LEN - 1] = '*';
    CU_ASSERT_TRUE(glob_matches(slice_of(pattern, LEN), slice_of(text, LEN)));
    mem_free(text);
    mem_free(pattern);
}

CU_TestInfo glob_tests[] = {
    {"stars_stand_for_any_run", stars_stand_for_any_run},
    {"agrees_with_the_obvious_definition", agrees_with_the_obvious_definition},
    {"many_stars_take_no_time", many_stars_take_no_time},
    CU_TEST_INFO_NULL,
};
