#pragma once

/*
 * How a call says what went wrong.
 *
 * `enum err` is for code: what the caller decides by. `struct fault` is for people outside: which
 * rule their message or request broke, made where the rule is broken and rendered in one place.
 *
 * Threads: any; plain values.
 */

enum err {
    ERR_OK = 0,
    ERR_NOMEM,   /* memory of a size that a peer chose could not be had */
    ERR_FULL,    /* a bound set at creation is reached */
    ERR_INVALID, /* input breaks a rule; a fault says which */
    ERR_CLOSED,  /* the thing is closing or gone; nothing was done */
    ERR_AGAIN,   /* nothing now; try after the next event */
    ERR_SYSTEM,  /* a system call failed; errno says how */
};

#define MUST_USE __attribute__((warn_unused_result))

/* The codes that the outside sees (CONTRACT: errors). */
enum fault_code {
    FAULT_NONE = 0,
    FAULT_AUTH_FAILED,
    FAULT_RATE_LIMITED,
    FAULT_INVALID_PAYLOAD,
    FAULT_CHANNEL_ERROR,
    FAULT_NOT_FOUND,
    FAULT_METHOD_NOT_ALLOWED,
    FAULT_UPGRADE_REQUIRED,
    FAULT_UNAVAILABLE,
    FAULT_INTERNAL,
    FAULT_CODES, /* how many there are */
};

struct fault {
    enum fault_code code;
    const char *message; /* a sentence for the person at the other end; a constant */
    const char *field;   /* the member or parameter at fault, or NULL; a constant */
};

/* The code as it is written in bodies, such as "INVALID_PAYLOAD". */
const char *fault_code_name(enum fault_code code);
