#include "core/base/blob.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "core/base/mem.h"

static void begins_with_one_count_and_the_length_asked_for(void)
{
    static const size_t lens[] = {0, 1, 65536};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct blob *blob = blob_try_create(lens[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(blob);
        CU_ASSERT_EQUAL(blob->len, lens[i]);
        CU_ASSERT_EQUAL(atomic_load(&blob->refs), 1);
        memset(blob->bytes, 'x', blob->len);
        blob_release(blob);
    }
}

static void lives_until_the_last_count_is_dropped(void)
{
    struct blob *blob = blob_try_create(3);
    CU_ASSERT_PTR_NOT_NULL_FATAL(blob);
    memcpy(blob->bytes, "abc", 3);
    CU_ASSERT_PTR_EQUAL(blob_retain(blob), blob);
    blob_release(blob);
    CU_ASSERT_EQUAL(memcmp(blob->bytes, "abc", 3), 0);
    blob_release(blob);
}

static void releases_nothing_for_null(void)
{
    blob_release(NULL);
}

static void is_null_without_memory(void)
{
    mem_fail_after(1);
    CU_ASSERT_PTR_NULL(blob_try_create(1));
    mem_fail_after(0);
}

static void is_null_for_a_length_that_overflows(void)
{
    CU_ASSERT_PTR_NULL(blob_try_create(SIZE_MAX));
    CU_ASSERT_PTR_NULL(blob_try_create(SIZE_MAX - sizeof(struct blob) + 1));
}

enum { ROUNDS = 10000 };

static void *retain_and_release(void *blob)
{
    for (int i = 0; i < ROUNDS; i++)
        blob_release(blob_retain(blob));
    blob_release(blob);
    return NULL;
}

static void counts_right_with_many_threads(void)
{
    pthread_t threads[4];
    struct blob *blob = blob_try_create(8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(blob);
    for (size_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&threads[i], NULL, retain_and_release, blob_retain(blob)), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(atomic_load(&blob->refs), 1);
    blob_release(blob);
}

CU_TestInfo blob_tests[] = {
    {"begins_with_one_count_and_the_length_asked_for",
     begins_with_one_count_and_the_length_asked_for},
    {"lives_until_the_last_count_is_dropped", lives_until_the_last_count_is_dropped},
    {"releases_nothing_for_null", releases_nothing_for_null},
    {"is_null_without_memory", is_null_without_memory},
    {"is_null_for_a_length_that_overflows", is_null_for_a_length_that_overflows},
    {"counts_right_with_many_threads", counts_right_with_many_threads},
    CU_TEST_INFO_NULL,
};
