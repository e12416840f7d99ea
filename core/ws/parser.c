#include "core/ws/parser.h"

#include <assert.h>
#include <string.h>
#include <wslay/wslay.h>

#include "core/base/mem.h"

/*
 * wslay reads ahead into a buffer of its own (4 KiB). It is never offered more than the rest of the
 * frame under way, so that at a frame's end nothing is left in it and it can serve anybody. In the
 * middle of a frame it cannot be made to forget: such a parser is freed, not kept.
 *
 * wslay unmasks octet by octet (0.9 ns each, four fifths of what a message of 250 bytes cost). So
 * it is shown the frame without its mask, which goes off while the octets are copied for it.
 */

enum {
    MASK_BIT = 0x80, /* of a header's octet 1 */
    KEY_LEN = 4,
};

/* XORs `len` octets with the key, which repeats; `at` is where in it the first octet stands. */
static void unmask(uint8_t *out, const char *in, size_t len, const unsigned char *key, unsigned at)
{
    unsigned char turned[sizeof(uint64_t)];
    for (unsigned i = 0; i < sizeof turned; i++)
        turned[i] = key[(at + i) % KEY_LEN];
    uint64_t key_word, word;
    memcpy(&key_word, turned, sizeof key_word);
    size_t i = 0;
    for (; i + sizeof word <= len; i += sizeof word) {
        memcpy(&word, in + i, sizeof word);
        word ^= key_word;
        memcpy(out + i, &word, sizeof word);
    }
    for (; i < len; i++)
        out[i] = (uint8_t)in[i] ^ turned[i % sizeof turned];
}

/* The header as of an unmasked frame; returns its length. */
static size_t copy_header(const struct ws_header *header, uint8_t *out)
{
    size_t len = header->len - KEY_LEN;
    memcpy(out, header->octets, len);
    out[1] &= (uint8_t)~MASK_BIT;
    return len;
}

/* wslay's receive callback; 0 means that there is nothing now. */
static ssize_t pull(uint8_t *out, size_t len, int flags, void *user_data)
{
    struct ws_parser *parser = user_data;
    const struct ws_header *header = &parser->header;
    size_t given = 0;
    (void)flags;
    if (!parser->header_passed) {
        /* Its buffer is empty then, so there is room for a header. */
        assert(len >= header->len);
        given = copy_header(header, out);
        parser->header_passed = true;
    }
    size_t more = parser->input.len < len - given ? parser->input.len : len - given;
    unmask(out + given, parser->input.ptr, more, header->octets + header->len - KEY_LEN,
           parser->payload_pulled % KEY_LEN);
    parser->payload_pulled += more;
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
    parser->payload_pulled = 0;
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

size_t ws_pool_bytes_in_use(const struct ws_pool *pool)
{
    return pool->bytes_in_use;
}

static void set_bytes(struct ws_pool *pool, struct ws_parser *parser, size_t bytes)
{
    pool->bytes_in_use += bytes - parser->bytes;
    parser->bytes = bytes;
}

void ws_pool_count_parser(struct ws_pool *pool, struct ws_parser *parser)
{
    const struct ws_message *message = &parser->message;
    size_t inflater = message->inflater != NULL ? WS_INFLATER_BYTES : 0;
    set_bytes(pool, parser, WS_PARSER_BYTES + message->bytes.cap + inflater);
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
    set_bytes(pool, parser, 0);
    ws_pool_take_back_inflater(pool, &parser->message);
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

void ws_pool_take_back_inflater(struct ws_pool *pool, struct ws_message *message)
{
    struct inflater *inflater = message->inflater;
    message->inflater = NULL;
    if (inflater == NULL)
        return;
    if (pool->inflater_count == WS_POOL_SPARE_INFLATERS)
        inflater_destroy(inflater);
    else
        pool->inflaters[pool->inflater_count++] = inflater;
}
