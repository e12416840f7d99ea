#include "core/base/uuid.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/clock.h"

enum { MANY = 20000, THREADS = 4, EACH = 2000 };

static void has_version_7_and_the_right_variant(void)
{
    for (int i = 0; i < 100; i++) {
        char text[UUID_TEXT_LEN + 1];
        text[UUID_TEXT_LEN] = '!';
        uuid_make_v7(text);
        CU_ASSERT_EQUAL(text[UUID_TEXT_LEN], '!');
        CU_ASSERT_TRUE(uuid_is_valid(slice_of(text, UUID_TEXT_LEN)));
        CU_ASSERT_EQUAL(text[14], '7');
        CU_ASSERT_PTR_NOT_NULL(strchr("89ab", text[19]));
        for (size_t j = 0; j < UUID_TEXT_LEN; j++)
            CU_ASSERT_FALSE(text[j] >= 'A' && text[j] <= 'F');
    }
}

static uint64_t time_in(const char *text)
{
    char digits[13];
    memcpy(digits, text, 8);
    memcpy(digits + 8, text + 9, 4);
    digits[12] = '\0';
    return strtoull(digits, NULL, 16);
}

static void begins_with_the_time(void)
{
    char text[UUID_TEXT_LEN];
    uint64_t before = clock_wall_ms();
    uuid_make_v7(text);
    CU_ASSERT_TRUE(time_in(text) >= before);
    /* The counter may run ahead of the clock, by a millisecond for each 2048 at least. */
    CU_ASSERT_TRUE(time_in(text) <= clock_wall_ms() + 1000);
}

static void later_ones_sort_later(void)
{
    char last[UUID_TEXT_LEN], next[UUID_TEXT_LEN];
    uuid_make_v7(last);
    for (int i = 0; i < MANY; i++) {
        uuid_make_v7(next);
        if (memcmp(last, next, UUID_TEXT_LEN) >= 0)
            CU_FAIL("out of order");
        memcpy(last, next, UUID_TEXT_LEN);
    }
}

static void *make_many(void *out)
{
    for (size_t i = 0; i < EACH; i++)
        uuid_make_v7((char *)out + i * UUID_TEXT_LEN);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, UUID_TEXT_LEN);
}

static void threads_make_no_two_alike(void)
{
    static char all[THREADS * EACH][UUID_TEXT_LEN];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, make_many, all[i * EACH]), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(all, THREADS * EACH, UUID_TEXT_LEN, compare);
    for (size_t i = 1; i < THREADS * EACH; i++)
        if (compare(all[i - 1], all[i]) == 0)
            CU_FAIL("twice the same");
}

static void takes_any_version_and_case(void)
{
    static const char *const good[] = {
        "00000000-0000-0000-0000-000000000000", "ffffffff-FFFF-ffff-FFFF-ffffffffffff",
        "01890a5d-ac96-774b-bcce-b302099a8057", "2C5EA4C0-4067-11E9-8BAD-9B1DEB4D3B7D"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CU_ASSERT_TRUE(uuid_is_valid(slice_str(good[i])));
}

static void refuses_what_is_no_uuid(void)
{
    static const char *const bad[] = {
        "",
        "0000000-0000-0000-0000-000000000000",
        "00000000-0000-0000-0000-00000000000",
        "00000000-0000-0000-0000-0000000000000",
        "0000000000000-0000-0000-000000000000",
        "00000000-0000-0000-0000-00000000000g",
        "00000000-0000-0000-0000_000000000000",
        "{00000000-0000-0000-0000-0000000000}",
        "000000000-000-0000-0000-000000000000",
        " 0000000-0000-0000-0000-000000000000",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_FALSE(uuid_is_valid(slice_str(bad[i])));
    CU_ASSERT_FALSE(uuid_is_valid(SLICE_NONE));
}

static void every_place_is_looked_at(void)
{
    static const char wrong[] = {'g', '/', ':', '@', '`', 'G', '\0'};
    for (size_t at = 0; at < UUID_TEXT_LEN; at++) {
        for (size_t i = 0; i < sizeof wrong; i++) {
            char text[] = "01890a5d-ac96-774b-bcce-b302099a8057";
            text[at] = wrong[i];
            CU_ASSERT_FALSE(uuid_is_valid(slice_of(text, UUID_TEXT_LEN)));
        }
    }
}

static void its_text_is_read_in_any_case(void)
{
    static const unsigned char expected[UUID_BYTES] = {0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96,
                                                       0x77, 0x4b, 0xbc, 0xce, 0xb3, 0x02,
                                                       0x09, 0x9a, 0x80, 0x57};
    static const char *const texts[] = {"01890a5d-ac96-774b-bcce-b302099a8057",
                                        "01890A5D-AC96-774B-BCCE-B302099A8057"};
    for (int i = 0; i < 2; i++) {
        unsigned char bytes[UUID_BYTES];
        uuid_read(slice_str(texts[i]), bytes);
        CU_ASSERT_EQUAL(memcmp(bytes, expected, sizeof bytes), 0);
    }
}

static void octets_and_text_are_the_same_uuid(void)
{
    static const unsigned char octets[UUID_BYTES] = {0x01, 0x90, 0xa0, 0x00, 0x12, 0x34,
                                                     0x7a, 0xbc, 0x8d, 0xef, 0x01, 0x23,
                                                     0x45, 0x67, 0x89, 0xab};
    static const char lower[] = "0190a000-1234-7abc-8def-0123456789ab";
    unsigned char packed[UUID_BYTES];
    char text[UUID_TEXT_LEN];
    uuid_read(slice_str(lower), packed);
    CU_ASSERT_EQUAL(memcmp(packed, octets, sizeof octets), 0);
    uuid_read(slice_str("0190A000-1234-7ABC-8DEF-0123456789AB"), packed);
    CU_ASSERT_EQUAL(memcmp(packed, octets, sizeof octets), 0);
    uuid_write(octets, text);
    CU_ASSERT_TRUE(slice_equals_str(slice_of(text, sizeof text), lower));
}

CU_TestInfo uuid_tests[] = {
    {"octets_and_text_are_the_same_uuid", octets_and_text_are_the_same_uuid},
    {"its_text_is_read_in_any_case", its_text_is_read_in_any_case},
    {"has_version_7_and_the_right_variant", has_version_7_and_the_right_variant},
    {"begins_with_the_time", begins_with_the_time},
    {"later_ones_sort_later", later_ones_sort_later},
    {"threads_make_no_two_alike", threads_make_no_two_alike},
    {"takes_any_version_and_case", takes_any_version_and_case},
    {"refuses_what_is_no_uuid", refuses_what_is_no_uuid},
    {"every_place_is_looked_at", every_place_is_looked_at},
    CU_TEST_INFO_NULL,
};
