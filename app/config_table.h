#pragma once

/*
 * What variables there are, what each takes and where it goes: one row each, in the order in which
 * .env.example has them. A new variable is a row here, a member of struct config, an entry in
 * .env.example.
 *
 * Threads: any; constants.
 */

#include <stddef.h>
#include <stdint.h>

enum config_kind {
    CONFIG_UNSIGNED, /* into an unsigned */
    CONFIG_SIZE,     /* into a size_t */
    CONFIG_DURATION, /* into a uint64_t of milliseconds */
    CONFIG_DURATION_OR_OFF,
    CONFIG_BOOL,
    CONFIG_HOST,
    CONFIG_POD_ID,
    CONFIG_ORIGINS,
    CONFIG_LOG_LEVEL,
    CONFIG_CONNECTIONS, /* a size that the limit of open files bounds */
    CONFIG_REDIS_URL,
    CONFIG_TEXT,   /* into a char *, NULL when there is none */
    CONFIG_SECRET, /* the same, and never shown */
    CONFIG_KEY,    /* the same, of `min` to `max` visible characters, and never shown */
    CONFIG_LIMIT,
    CONFIG_NETWORKS,
    CONFIG_KINDS, /* how many there are */
};

struct config_variable {
    const char *name;
    const char *fallback; /* what an absent or empty value means; "": worked out at the start */
    enum config_kind kind;
    size_t offset; /* in struct config */
    uint64_t min, max;
};

/* The row, or NULL behind the last. */
const struct config_variable *config_variable_at(size_t row);
