#pragma once

/*
 * Patterns of a grant: `*` stands for any run of bytes, the empty one too; all else for itself.
 *
 * Threads: any.
 */

#include <stdbool.h>

#include "core/base/slice.h"

/* Whether the pattern stands for the whole text. Time grows with the two lengths added up. */
bool glob_matches(struct slice pattern, struct slice text);
