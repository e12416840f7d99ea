#include "core/ws/parser.h"

#include <assert.h>
#include <string.h>
#include <wslay/wslay.h>

#include "core/base/mem.h"

/*
 * wslay reads ahead into a buffer of its own (4 KiB). It is never offered more than the rest of the
 * frame under way, so that at a frame's end nothing is left in it and it can serve anybody. In the
 * middle of a frame it cannot be made to forget: such a parser is freed, not kept.
 */

/* wslay's receive callback; 0 means that there is nothing now. */
static ssize_t pull(uint8_t *out, size_t len, int flags, void *user_data)
{
    struct ws_parser *parser = user_data;
    size_t given = 0;
    (void)flags;
    if (!parser->header_passed) {
        /* Its buffer is empty then, so there is room for a header. */
        assert(len >= parser->header.len);
        given = parser->header.len;
        memcpy(out, parser->header.octets, given);
        parser->header_passed = true;
    }
    size_t more = parser->input.len < len - given ? parser->input.len : len - given;
    if (more > 0)
        memcpy(out + given, parser->input.ptr, more);
    parser->input = slice_skip(parser->input, more);
    return (ssize_t)(given + more);
}

static struct ws_parser *create_parser(size_t max_message_bytes)
{
    struct ws_parser *parser = mem_try_alloc(sizeof *parser);
    if (parser == NULL)
        return NULL;
    *parser = (struct ws_parser){0};
    const struct wslay_frame_callbacks callbacks = {.recv_callback = pull};
    if (wslay_frame_context_init(&parser->wslay, &callbacks, parser) != 0) {
        mem_free(parser);
        return NULL;
    }
    ws_message_init(&parser->message, max_message_bytes);
    return parser;
}

static void destroy_parser(struct ws_parser *parser)
{
    ws_message_fini(&parser->message);
    wslay_frame_context_free(parser->wslay);
    mem_free(parser);
}

void ws_parser_begin_payload(struct ws_parser *parser)
{
    assert(ws_header_is_whole(&parser->header));
    parser->payload_left = parser->header.payload_len;
    parser->header_passed = false;
    parser->control_len = 0;
}

bool ws_parser_read_payload(struct ws_parser *parser, struct slice *bytes, struct slice *piece)
{
    struct wslay_frame_iocb frame = {0};
    bool rest_is_here = bytes->len >= parser->payload_left;
    size_t offered = rest_is_here ? (size_t)parser->payload_left : bytes->len;

    parser->input = slice_of(bytes->ptr, offered);
    if (wslay_frame_recv(parser->wslay, &frame) < 0)
        return false;
    *bytes = slice_skip(*bytes, offered - parser->input.len);
    parser->payload_left -= frame.data_length;
    *piece = slice_of(frame.data, frame.data_length);
    return true;
}

void ws_parser_end_frame(struct ws_parser *parser)
{
    assert(parser->payload_left == 0);
    parser->header = (struct ws_header){0};
}

struct ws_pool *ws_pool_create(const struct ws_limits *limits, const struct ws_handlers *handlers)
{
    struct ws_pool *pool = mem_zalloc(sizeof *pool);
    pool->limits = *limits;
    pool->handlers = *handlers;
    return pool;
}

void ws_pool_destroy(struct ws_pool *pool)
{
    if (pool == NULL)
        return;
    assert(pool->in_use == 0);
    while (pool->spare != NULL) {
        struct ws_parser *parser = pool->spare;
        pool->spare = parser->next;
        destroy_parser(parser);
    }
    while (pool->inflater_count > 0)
        inflater_destroy(pool->inflaters[--pool->inflater_count]);
    mem_free(pool);
}

size_t ws_pool_in_use(const struct ws_pool *pool)
{
    return pool->in_use;
}

struct ws_parser *ws_pool_take_parser(struct ws_pool *pool)
{
    struct ws_parser *parser = pool->spare;
    if (parser != NULL) {
        pool->spare = parser->next;
        pool->spare_count--;
    } else {
        parser = create_parser(pool->limits.max_message_bytes);
        if (parser == NULL)
            return NULL;
    }
    pool->in_use++;
    return parser;
}

void ws_pool_give_parser(struct ws_pool *pool, struct ws_parser *parser)
{
    if (parser == NULL)
        return;
    pool->in_use--;
    ws_pool_give_inflater(pool, parser->message.inflater);
    parser->message.inflater = NULL;
    bool frame_under_way = parser->header.have > 0;
    if (frame_under_way || pool->spare_count == WS_POOL_SPARE_PARSERS) {
        destroy_parser(parser);
        return;
    }
    ws_message_end(&parser->message);
    parser->next = pool->spare;
    pool->spare = parser;
    pool->spare_count++;
}

struct inflater *ws_pool_take_inflater(struct ws_pool *pool)
{
    if (pool->inflater_count == 0)
        return inflater_create();
    struct inflater *inflater = pool->inflaters[--pool->inflater_count];
    inflater_reset(inflater);
    return inflater;
}

void ws_pool_give_inflater(struct ws_pool *pool, struct inflater *inflater)
{
    if (inflater == NULL)
        return;
    if (pool->inflater_count == WS_POOL_SPARE_INFLATERS)
        inflater_destroy(inflater);
    else
        pool->inflaters[pool->inflater_count++] = inflater;
}
