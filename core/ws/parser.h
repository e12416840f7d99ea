#pragma once

/*
 * What a session needs while something is under way, and the pool that a loop's sessions take it
 * from.
 *
 * Threads: the loop that owns the pool.
 * Owns: the pool owns what was given back; what was taken is the taker's.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/ws/header.h"
#include "core/ws/message.h"
#include "core/ws/session.h"

struct wslay_frame_context;

struct ws_parser {
    struct ws_parser *next; /* in the pool's list of spare ones */
    struct wslay_frame_context *wslay;
    struct slice input;      /* what wslay may pull now: never more than belongs to the frame */
    bool header_passed;      /* wslay has the header */
    struct ws_header header; /* of the frame under way */
    uint64_t payload_left;   /* of the frame under way, to be read yet */
    uint64_t payload_pulled; /* of the frame under way, into wslay */
    struct ws_message message;
    unsigned char control[WS_CONTROL_PAYLOAD_MAX]; /* payload of the control frame under way */
    size_t control_len;
    size_t bytes; /* what it holds, as the pool counted it last; 0 in the pool's list */
};

/* Whether no frame and no fragmented message is under way. */
static inline bool ws_parser_is_idle(const struct ws_parser *parser)
{
    return parser->header.have == 0 && !parser->message.open;
}

/* Once the header is whole. */
void ws_parser_begin_payload(struct ws_parser *parser);

/*
 * Moves a piece of the frame's payload from `bytes` through wslay, unmasked; `piece` is
 * good until the next call. There have to be bytes, or none left to come. False when wslay would
 * not have the frame.
 */
bool ws_parser_read_payload(struct ws_parser *parser, struct slice *bytes, struct slice *piece);

/* The frame is over, the next octet is a header's. */
void ws_parser_end_frame(struct ws_parser *parser);

enum {
    WS_POOL_SPARE_PARSERS = 16,
    WS_POOL_SPARE_INFLATERS = 4,
    WS_PARSER_BYTES = 5 * 1024, /* about, with wslay's context */
    WS_INFLATER_BYTES = 40 * 1024,
};

struct ws_pool {
    struct ws_limits limits;
    struct ws_handlers handlers;
    struct ws_parser *spare;
    size_t spare_count;
    size_t in_use;
    size_t bytes_in_use;
    struct inflater *inflaters[WS_POOL_SPARE_INFLATERS];
    size_t inflater_count;
};

/* NULL when there is no memory. */
struct ws_parser *ws_pool_take_parser(struct ws_pool *pool);
/* In whatever state it is. Takes NULL. */
void ws_pool_give_parser(struct ws_pool *pool, struct ws_parser *parser);

/* Counts anew what a parser holds that stays with its session for now. */
void ws_pool_count_parser(struct ws_pool *pool, struct ws_parser *parser);

/* At the beginning of a message. NULL when there is no memory. */
struct inflater *ws_pool_take_inflater(struct ws_pool *pool);
/* Takes back the message's, if it has one. */
void ws_pool_take_back_inflater(struct ws_pool *pool, struct ws_message *message);
