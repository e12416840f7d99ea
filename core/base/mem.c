#include "core/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Per thread, so that a test that starves one thread leaves the others alone. */
static _Thread_local unsigned fail_at;
static _Thread_local unsigned try_count;

void mem_die(size_t size)
{
    fprintf(stderr,
            "{\"level\":\"error\",\"event\":\"process:out_of_memory\","
            "\"metadata\":{\"bytes\":%zu}}\n",
            size);
    abort();
}

bool mem_try_fails(void)
{
    try_count++;
    return fail_at != 0 && try_count == fail_at;
}

void *mem_zalloc(size_t size)
{
    void *ptr = calloc(1, size != 0 ? size : 1);
    if (ptr == NULL)
        mem_die(size);
    return ptr;
}

void *mem_alloc(size_t size)
{
    void *ptr = malloc(size != 0 ? size : 1);
    if (ptr == NULL)
        mem_die(size);
    return ptr;
}

/* SIZE_MAX, which nobody can have, where the product is larger; at least 1, as realloc(ptr, 0)
 * frees. Sanitizers end the process on an overflow that is left to reallocarray. */
static size_t product(size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        return SIZE_MAX;
    return bytes != 0 ? bytes : 1;
}

void *mem_resize(void *ptr, size_t count, size_t size)
{
    size_t bytes = product(count, size);
    void *grown = bytes != SIZE_MAX ? realloc(ptr, bytes) : NULL;
    if (grown == NULL)
        mem_die(bytes);
    return grown;
}

char *mem_strdup(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        mem_die(strlen(text) + 1);
    return copy;
}

void *mem_try_alloc(size_t size)
{
    if (mem_try_fails())
        return NULL;
    return malloc(size != 0 ? size : 1);
}

void *mem_try_resize(void *ptr, size_t count, size_t size)
{
    if (mem_try_fails())
        return NULL;
    size_t bytes = product(count, size);
    return bytes != SIZE_MAX ? realloc(ptr, bytes) : NULL;
}

void *mem_try_zalloc(size_t count, size_t size)
{
    return mem_try_fails() ? NULL : calloc(count != 0 ? count : 1, size);
}

void mem_free(void *ptr)
{
    free(ptr);
}

unsigned mem_fail_after(unsigned nth)
{
    unsigned calls = try_count;
    try_count = 0;
    fail_at = nth;
    return calls;
}
