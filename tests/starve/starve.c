/*
 * Memory that runs out, for build/chat-api-starved: the service's own objects, with this between
 * them and mem_try_* and slab_try_alloc (the linker's --wrap). From SIGUSR1 to SIGUSR2 the first
 * request of each place fails, and every n-th after it: each place is counted by itself, so that
 * none is spared for being asked seldom.
 *
 *     STARVE_EVERY   n; 1 fails every request
 *
 * At the end of the process a line tells each place (an address, as the program's file has it),
 * how often it asked while memory was short, and how often it got nothing.
 */

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/slab.h"

enum { PLACES_MAX = 256 };

struct place {
    _Atomic uintptr_t address; /* 0: free */
    atomic_uint asked;
    atomic_uint failed;
};

static struct place places[PLACES_MAX];
static atomic_bool is_short;
static unsigned every;

extern const char __executable_start;
void *__real_mem_try_alloc(size_t size);
void *__real_mem_try_zalloc(size_t count, size_t size);
void *__real_mem_try_resize(void *ptr, size_t count, size_t size);
void *__real_slab_try_alloc(struct slab *slab);
void *__wrap_mem_try_alloc(size_t size);
void *__wrap_mem_try_zalloc(size_t count, size_t size);
void *__wrap_mem_try_resize(void *ptr, size_t count, size_t size);
void *__wrap_slab_try_alloc(struct slab *slab);

static void on_signal(int number)
{
    atomic_store(&is_short, number == SIGUSR1);
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("STARVE_EVERY");
    every = text != NULL ? (unsigned)strtoul(text, NULL, 10) : 1;
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
}

/* NULL when there are more places than the table has. */
static struct place *place_of(uintptr_t address)
{
    for (size_t i = 0; i < PLACES_MAX; i++) {
        uintptr_t none = 0;
        if (atomic_load(&places[i].address) == address ||
            atomic_compare_exchange_strong(&places[i].address, &none, address) || none == address)
            return &places[i];
    }
    return NULL;
}

static bool must_fail(const void *caller)
{
    if (!atomic_load(&is_short) || every == 0)
        return false;
    struct place *place = place_of((uintptr_t)caller);
    if (place == NULL || atomic_fetch_add(&place->asked, 1) % every != 0)
        return false;
    atomic_fetch_add(&place->failed, 1);
    return true;
}

void *__wrap_mem_try_alloc(size_t size)
{
    return must_fail(__builtin_return_address(0)) ? NULL : __real_mem_try_alloc(size);
}

void *__wrap_mem_try_zalloc(size_t count, size_t size)
{
    return must_fail(__builtin_return_address(0)) ? NULL : __real_mem_try_zalloc(count, size);
}

void *__wrap_mem_try_resize(void *ptr, size_t count, size_t size)
{
    return must_fail(__builtin_return_address(0)) ? NULL : __real_mem_try_resize(ptr, count, size);
}

void *__wrap_slab_try_alloc(struct slab *slab)
{
    return must_fail(__builtin_return_address(0)) ? NULL : __real_slab_try_alloc(slab);
}

__attribute__((destructor)) static void tell(void)
{
    fprintf(stderr, "{\"level\":\"info\",\"event\":\"starve:places\",\"metadata\":{\"places\":[");
    for (size_t i = 0; i < PLACES_MAX && places[i].address != 0; i++)
        fprintf(stderr, "%s[%ld,%u,%u]", i > 0 ? "," : "",
                (long)(places[i].address - (uintptr_t)&__executable_start), places[i].asked,
                places[i].failed);
    fprintf(stderr, "]}}\n");
}
