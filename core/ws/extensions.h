#pragma once

/*
 * Reads a Sec-WebSocket-Extensions value (RFC 6455 9.1), piece by piece:
 *
 *     name; param; param=token, name; param="token"
 *     ─┬──  ──┬──  ───┬──────
 *      │      └───────┴─ extension_reader_param, until false
 *      └──────────────── extension_reader_name, until false
 *
 * Threads: any.
 * Owns: nothing; what it returns points into the value.
 */

#include <stdbool.h>

#include "core/base/slice.h"

struct extension_reader {
    struct slice rest;
    bool malformed; /* the grammar is broken; nothing more is read */
};

struct extension_param {
    struct slice name;
    struct slice value; /* without its quotes; SLICE_NONE when there is none */
};

/* How long the token is that the text begins with (RFC 9110 5.6.2); 0: none. */
size_t extension_token_len(struct slice text);

/* The name of the next element, behind the parameters of the last one. False: none, or malformed.
 */
bool extension_reader_name(struct extension_reader *reader, struct slice *name);

/* The next parameter of the element. False: no more, or malformed. */
bool extension_reader_param(struct extension_reader *reader, struct extension_param *param);
