#include "tests/bench/load/must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_GAVE_UP = 3 };

void give_up(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(EXIT_GAVE_UP);
}

void give_up_errno(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(EXIT_GAVE_UP);
}

void *must_allocate(size_t count, size_t size)
{
    void *memory = calloc(count != 0 ? count : 1, size);
    if (memory == NULL)
        give_up("no memory");
    return memory;
}

void *must_resize(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (memory == NULL)
        give_up("no memory");
    return memory;
}
