#include "core/base/map.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

#include "core/base/mem.h"

enum { NAMES = 600, NAME_SIZE = 32, SMALLEST_TABLE = 16 };

struct item {
    char name[NAME_SIZE];
    bool is_in; /* the model: what the map ought to hold */
};

static struct slice key_of(const struct item *item)
{
    return slice_str(item->name);
}

static void name_items(struct item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        items[i].is_in = false;
        (void)snprintf(items[i].name, NAME_SIZE, "room-%zu", i);
    }
}

static void agrees_with_the_model(const struct map *map, const struct item *items, size_t count)
{
    size_t in = 0, seen = 0, at = 0;
    for (size_t i = 0; i < count; i++) {
        void *expected = items[i].is_in ? (void *)(uintptr_t)&items[i] : NULL;
        if (map_get(map, key_of(&items[i])) != expected)
            CU_FAIL("map and model disagree");
        in += items[i].is_in;
    }
    while (map_next(map, &at) != NULL)
        seen++;
    CU_ASSERT_EQUAL(map->count, in);
    CU_ASSERT_EQUAL(seen, in);
    CU_ASSERT_TRUE(map->count * 4 <= map->cap * 3);
}

static void toggle(struct map *map, struct item *item)
{
    if (item->is_in) {
        CU_ASSERT_PTR_EQUAL(map_remove(map, key_of(item)), item);
    } else {
        CU_ASSERT_EQUAL(map_add(map, key_of(item), item), ERR_OK);
    }
    item->is_in = !item->is_in;
}

static void holds_nothing_at_first(void)
{
    struct map map;
    size_t at = 0;
    map_init(&map);
    CU_ASSERT_PTR_NULL(map_get(&map, slice_str("a")));
    CU_ASSERT_PTR_NULL(map_remove(&map, slice_str("a")));
    CU_ASSERT_PTR_NULL(map_next(&map, &at));
    map_fini(&map);
}

static void does_what_the_model_does_through_random_changes(void)
{
    static struct item items[NAMES];
    struct map map;
    uint32_t random = 12345;
    map_init(&map);
    name_items(items, NAMES);
    for (int step = 0; step < 20000; step++) {
        random = random * 1664525u + 1013904223u;
        toggle(&map, &items[(random >> 8) % NAMES]);
        if (step % 500 == 0)
            agrees_with_the_model(&map, items, NAMES);
    }
    agrees_with_the_model(&map, items, NAMES);
    map_fini(&map);
}

static void grows_when_three_quarters_are_full_and_shrinks_as_it_empties(void)
{
    static struct item items[NAMES];
    struct map map;
    map_init(&map);
    name_items(items, NAMES);
    for (size_t i = 0; i < NAMES; i++) {
        toggle(&map, &items[i]);
        if (map.count <= SMALLEST_TABLE * 3 / 4 && map.cap != SMALLEST_TABLE)
            CU_FAIL("grew too early");
        if (map.count == SMALLEST_TABLE * 3 / 4 + 1)
            CU_ASSERT_EQUAL(map.cap, (size_t)SMALLEST_TABLE * 2);
    }
    CU_ASSERT_EQUAL(map.cap, 1024);
    for (size_t i = 0; i < NAMES; i++) {
        toggle(&map, &items[i]);
        agrees_with_the_model(&map, items, NAMES);
    }
    CU_ASSERT_EQUAL(map.cap, SMALLEST_TABLE);
    map_fini(&map);
}

/* Names that all want the same slot of the smallest table: the hash's key is drawn anew in each
 * process, so they are searched for. */
static void name_colliding_items(struct item *items, size_t count, size_t slot)
{
    for (unsigned long number = 0; count > 0; number++) {
        struct item *item = &items[count - 1];
        (void)snprintf(item->name, NAME_SIZE, "n%lu", number);
        item->is_in = false;
        if (map_hash(key_of(item)) % SMALLEST_TABLE == slot)
            count--;
    }
}

/* The last slot's run wraps around the end of the table. */
static void names_that_collide_are_told_apart(void)
{
    enum { COUNT = 10 };
    static const size_t slots[] = {0, 7, SMALLEST_TABLE - 1};
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        for (size_t removed = 0; removed < COUNT; removed++) {
            struct item items[COUNT];
            struct map map;
            map_init(&map);
            name_colliding_items(items, COUNT, slots[i]);
            for (size_t j = 0; j < COUNT; j++)
                toggle(&map, &items[j]);
            CU_ASSERT_EQUAL(map.cap, SMALLEST_TABLE);
            for (size_t j = 0; j < COUNT; j++) {
                toggle(&map, &items[(removed + j * 3) % COUNT]);
                agrees_with_the_model(&map, items, COUNT);
            }
            map_fini(&map);
        }
    }
}

static void without_memory_nothing_changes(void)
{
    static struct item items[NAMES];
    struct map map;
    unsigned failures = 0;
    map_init(&map);
    name_items(items, NAMES);
    for (size_t i = 0; i < NAMES; i++) {
        mem_fail_after(1);
        enum err result = map_add(&map, key_of(&items[i]), &items[i]);
        items[i].is_in = result == ERR_OK;
        failures += result == ERR_NOMEM;
        mem_fail_after(0);
        if (result == ERR_NOMEM) {
            agrees_with_the_model(&map, items, NAMES);
            toggle(&map, &items[i]);
        }
    }
    CU_ASSERT_EQUAL(failures, 7); /* 16, 32, ... 1024 slots */
    agrees_with_the_model(&map, items, NAMES);
    map_fini(&map);
}

static void without_memory_a_table_that_would_shrink_serves_on(void)
{
    static struct item items[NAMES];
    struct map map;
    map_init(&map);
    name_items(items, NAMES);
    for (size_t i = 0; i < NAMES; i++)
        toggle(&map, &items[i]);
    for (size_t i = 0; i < NAMES; i++) {
        mem_fail_after(1);
        toggle(&map, &items[i]);
        mem_fail_after(0);
    }
    CU_ASSERT_EQUAL(map.cap, 1024);
    agrees_with_the_model(&map, items, NAMES);
    map_fini(&map);
}

static void any_bytes_may_be_a_key(void)
{
    static const char bytes[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    struct map map;
    map_init(&map);
    for (size_t len = 0; len < sizeof bytes; len++)
        CU_ASSERT_EQUAL(map_add(&map, slice_of(bytes, len), (void *)(uintptr_t)(len + 1)), ERR_OK);
    for (size_t len = 0; len < sizeof bytes; len++)
        CU_ASSERT_EQUAL((uintptr_t)map_get(&map, slice_of(bytes, len)), len + 1);
    map_fini(&map);
}

static void every_octet_of_a_key_counts(void)
{
    char key[24] = "";
    for (size_t len = 1; len <= sizeof key; len++) {
        uint64_t before = map_hash(slice_of(key, len));
        for (size_t i = 0; i < len; i++) {
            key[i] = 1;
            CU_ASSERT_NOT_EQUAL(map_hash(slice_of(key, len)), before);
            key[i] = 0;
        }
    }
}

CU_TestInfo map_tests[] = {
    {"holds_nothing_at_first", holds_nothing_at_first},
    {"does_what_the_model_does_through_random_changes",
     does_what_the_model_does_through_random_changes},
    {"grows_when_three_quarters_are_full_and_shrinks_as_it_empties",
     grows_when_three_quarters_are_full_and_shrinks_as_it_empties},
    {"names_that_collide_are_told_apart", names_that_collide_are_told_apart},
    {"without_memory_nothing_changes", without_memory_nothing_changes},
    {"without_memory_a_table_that_would_shrink_serves_on",
     without_memory_a_table_that_would_shrink_serves_on},
    {"any_bytes_may_be_a_key", any_bytes_may_be_a_key},
    {"every_octet_of_a_key_counts", every_octet_of_a_key_counts},
    CU_TEST_INFO_NULL,
};
