#pragma once

/*
 * The keys of the moment: the secret, and the file of public keys, which is read anew when it
 * changes. A new file that is no good changes nothing but for one line in the log; the keys that
 * were there go on.
 *
 * Threads: create, tick, destroy: the main thread. keys: any.
 * Owns: the current set, its copy of the file's text.
 */

#include <stdint.h>

#include "core/auth/key_set.h"

enum {
    KEY_FILE_MAX = 256 * 1024,
    KEY_STORE_TICK_MS = 2000, /* between two looks at the file */
};

struct key_store;

/* NULL, with a sentence about the file in `why`, when the file has no good keys. `secret` ptr NULL
 * and `path` NULL: none. The path is borrowed until key_store_destroy. */
struct key_store *key_store_create(struct slice secret, const char *path, char why[KEY_WHY_SIZE]);
/* Takes NULL. */
void key_store_destroy(struct key_store *store);

/* Looks at the file when that is due. */
void key_store_tick(struct key_store *store, uint64_t monotonic_ms);

/* The current keys, with a count for the caller. */
struct key_set *key_store_keys(struct key_store *store);
