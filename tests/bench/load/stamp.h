#pragma once

/*
 * What the generator writes into each message and reads from each delivery.
 *
 *     "s":"nnnnnnnnbbbbttttttttttttt"      24 letters: number, sender, time
 *
 * A letter from a to p is four bits, so that a stamp has one length, is the same in any JSON, and
 * is read with a handful of operations: at millions of deliveries a second the generator would
 * otherwise be what is measured.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STAMP_LETTERS = 24,
    STAMP_PROBE = 0xffff, /* the sender of messages that are not counted */
};

struct stamp {
    uint32_t number;  /* of the sender's messages */
    uint16_t sender;  /* in its room */
    uint64_t time_ns; /* 48 bits: three days */
};

void stamp_write(char letters[STAMP_LETTERS], const struct stamp *stamp);

/*
 * Finds the stamp in a text. `hint` is where the last one was, which is where the next one is in
 * nearly every text of one server; false when there is none.
 */
bool stamp_find(const char *text, size_t len, size_t *hint, struct stamp *stamp);

/* How long ago the stamped time was. */
uint64_t stamp_age_ns(const struct stamp *stamp, uint64_t now_ns);
