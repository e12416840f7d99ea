#include "core/base/slab.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

#ifdef __SANITIZE_ADDRESS__
enum { HAS_PAGES = 0 }; /* each object by itself */
#else
enum { HAS_PAGES = 1 };
#endif

enum { MANY = 2000, OBJECT = 232 };

static void *objects[MANY];

static void fill(struct slab *slab, size_t bytes)
{
    for (size_t i = 0; i < MANY; i++) {
        objects[i] = slab_try_alloc(slab);
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
        CU_ASSERT_EQUAL((uintptr_t)objects[i] % 8, 0);
        memset(objects[i], (int)(i % 251), bytes);
    }
}

static size_t count_damaged(size_t bytes)
{
    size_t damaged = 0;
    for (size_t i = 0; i < MANY; i++)
        for (size_t at = 0; objects[i] != NULL && at < bytes; at++)
            damaged += ((unsigned char *)objects[i])[at] != i % 251;
    return damaged;
}

static void free_all(struct slab *slab)
{
    for (size_t i = 0; i < MANY; i++) {
        slab_free(slab, objects[i]);
        objects[i] = NULL;
    }
}

static void objects_do_not_touch_each_other(void)
{
    static const size_t sizes[] = {1, 8, 40, 56, OBJECT, 1023, 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct slab slab;
        slab_init(&slab, sizes[i]);
        fill(&slab, sizes[i]);
        CU_ASSERT_EQUAL(count_damaged(sizes[i]), 0);
        free_all(&slab);
        slab_fini(&slab);
    }
}

static void an_object_costs_its_size(void)
{
    struct slab slab;
    slab_init(&slab, OBJECT);
    fill(&slab, OBJECT);
    size_t a_page = (SLAB_PAGE_BYTES - 64) / OBJECT; /* at the least */
    CU_ASSERT_TRUE(slab_pages(&slab) <= (MANY + a_page - 1) / a_page);
    free_all(&slab);
    slab_fini(&slab);
}

static void pages_that_became_empty_go_back(void)
{
    struct slab slab;
    slab_init(&slab, OBJECT);
    fill(&slab, OBJECT);
    size_t full = slab_pages(&slab);
    /* All but one of each hundred: hardly a page is empty. */
    for (size_t i = 0; i < MANY; i++) {
        if (i % 100 == 0)
            continue;
        slab_free(&slab, objects[i]);
        objects[i] = NULL;
    }
    CU_ASSERT_TRUE(slab_pages(&slab) <= full);
    CU_ASSERT_EQUAL(count_damaged(OBJECT), 0);
    free_all(&slab);
    CU_ASSERT_EQUAL(slab_pages(&slab), HAS_PAGES);
    void *again = slab_try_alloc(&slab);
    CU_ASSERT_EQUAL(slab_pages(&slab), HAS_PAGES);
    slab_free(&slab, again);
    slab_free(&slab, NULL);
    slab_fini(&slab);
}

/* What comes and goes at random stays as it was, and does not grow. */
static void what_came_back_is_used_again(void)
{
    unsigned seed = 1;
    struct slab slab;
    slab_init(&slab, OBJECT);
    fill(&slab, OBJECT);
    size_t full = slab_pages(&slab);
    for (unsigned step = 0; step < 100000; step++) {
        size_t i = (unsigned)rand_r(&seed) % MANY;
        if (objects[i] != NULL) {
            slab_free(&slab, objects[i]);
            objects[i] = NULL;
        } else if ((objects[i] = slab_try_alloc(&slab)) != NULL) {
            memset(objects[i], (int)(i % 251), OBJECT);
        }
    }
    CU_ASSERT_TRUE(slab_pages(&slab) <= full);
    CU_ASSERT_EQUAL(count_damaged(OBJECT), 0);
    free_all(&slab);
    slab_fini(&slab);
}

static void without_memory_there_is_no_object(void)
{
    struct slab slab;
    slab_init(&slab, OBJECT);
    mem_fail_after(2);
    void *first = slab_try_alloc(&slab);
    CU_ASSERT_PTR_NOT_NULL(first);
    CU_ASSERT_PTR_NULL(slab_try_alloc(&slab));
    CU_ASSERT_EQUAL(mem_fail_after(0), 2);
    slab_free(&slab, first);
    slab_fini(&slab);
}

/* One thread makes them, another one ends them, as with clients. */
enum { PASSED = 50000, UNDER_WAY = 500 };

struct passing {
    struct slab slab;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    void *ring[UNDER_WAY];
    size_t in, out;
};

static void *take_all(void *arg)
{
    struct passing *passing = arg;
    for (size_t i = 0; i < PASSED; i++) {
        pthread_mutex_lock(&passing->lock);
        while (passing->out == passing->in)
            pthread_cond_wait(&passing->moved, &passing->lock);
        size_t *object = passing->ring[passing->out++ % UNDER_WAY];
        pthread_cond_signal(&passing->moved);
        pthread_mutex_unlock(&passing->lock);
        if (*object != i)
            return NULL;
        slab_free(&passing->slab, object);
    }
    return passing;
}

static void one_thread_makes_and_another_ends_them(void)
{
    static struct passing passing;
    pthread_t taker;
    void *result;
    passing =
        (struct passing){.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
    slab_init(&passing.slab, OBJECT);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&taker, NULL, take_all, &passing), 0);
    for (size_t i = 0; i < PASSED; i++) {
        size_t *object = slab_try_alloc(&passing.slab);
        *object = i;
        pthread_mutex_lock(&passing.lock);
        while (passing.in - passing.out == UNDER_WAY)
            pthread_cond_wait(&passing.moved, &passing.lock);
        passing.ring[passing.in++ % UNDER_WAY] = object;
        pthread_cond_signal(&passing.moved);
        pthread_mutex_unlock(&passing.lock);
    }
    pthread_join(taker, &result);
    CU_ASSERT_PTR_EQUAL(result, &passing);
    CU_ASSERT_TRUE(slab_pages(&passing.slab) <= UNDER_WAY * OBJECT / SLAB_PAGE_BYTES + 2);
    slab_fini(&passing.slab);
}

CU_TestInfo slab_tests[] = {
    {"objects_do_not_touch_each_other", objects_do_not_touch_each_other},
    {"an_object_costs_its_size", an_object_costs_its_size},
    {"pages_that_became_empty_go_back", pages_that_became_empty_go_back},
    {"what_came_back_is_used_again", what_came_back_is_used_again},
    {"without_memory_there_is_no_object", without_memory_there_is_no_object},
    {"one_thread_makes_and_another_ends_them", one_thread_makes_and_another_ends_them},
    CU_TEST_INFO_NULL,
};
