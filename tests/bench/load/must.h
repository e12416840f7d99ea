#pragma once

/* What the generator cannot go on without: memory, and reasons to give up. */

#include <stddef.h>

/* Zeroed memory for that many things, also for none; ends the program when there is none. */
void *must_allocate(size_t count, size_t size);
void *must_resize(void *memory, size_t size);

/* Says why and ends the program with code 3: there is no measurement. */
_Noreturn void give_up(const char *what);
/* The same, with what the system says of errno. */
_Noreturn void give_up_errno(const char *what);
