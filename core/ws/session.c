#include "core/ws/session.h"

#include <assert.h>
#include <string.h>

#include "core/ws/message.h"
#include "core/ws/parser.h"

/*
 * One turn of the wheel takes a piece: what is there of a header, then of its payload. Rules about
 * headers are in header.c, about messages in message.c; here is who hears of what.
 */

/* One call of ws_session_feed. */
struct feed {
    struct ws_session *session;
    struct ws_pool *pool;
    struct ws_parser *parser;
    void *arg;
    struct slice bytes; /* not looked at yet */
};

void ws_session_init(struct ws_session *session, const struct deflate_params *deflate)
{
    *session = (struct ws_session){.deflate = deflate->enabled};
}

void ws_session_fini(struct ws_session *session, struct ws_pool *pool)
{
    ws_pool_give_parser(pool, session->parser);
    session->parser = NULL;
    session->stopped = true;
}

void ws_session_stop(struct ws_session *session)
{
    session->stopped = true;
}

void ws_session_ignore_data(struct ws_session *session)
{
    session->data_ignored = true;
}

void ws_session_forget_message(struct ws_session *session, struct ws_pool *pool)
{
    struct ws_parser *parser = session->parser;
    assert(session->data_ignored);
    if (parser == NULL)
        return;
    ws_pool_take_back_inflater(pool, &parser->message);
    buf_fini(&parser->message.bytes);
    ws_pool_count_parser(pool, parser);
}

bool ws_session_is_midway(const struct ws_session *session)
{
    return session->parser != NULL && !ws_parser_is_idle(session->parser);
}

size_t ws_session_bytes(const struct ws_session *session)
{
    return session->parser != NULL ? session->parser->bytes : 0;
}

/* --- control frames (RFC 6455 5.5) --- */

static const struct ws_breach *take_close(struct feed *feed, struct slice payload)
{
    static const struct ws_breach bad_code = {WS_CLOSE_PROTOCOL_ERROR, "invalid close code"};
    static const struct ws_breach bad_reason = {WS_CLOSE_INVALID_PAYLOAD,
                                                "close reason is not UTF-8"};
    const struct ws_handlers *handlers = &feed->pool->handlers;
    unsigned code = WS_CLOSE_NONE;
    struct slice reason = slice_str("");

    /* One octet was refused with the header. */
    if (payload.len >= 2) {
        code = (unsigned char)payload.ptr[0] << 8 | (unsigned char)payload.ptr[1];
        reason = slice_skip(payload, 2);
        if (!ws_close_code_is_valid(code))
            return &bad_code;
        if (!utf8_is_valid(reason.ptr, reason.len))
            return &bad_reason;
    }
    feed->session->stopped = true;
    handlers->on_close(feed->arg, code, reason);
    return NULL;
}

static const struct ws_breach *take_control(struct feed *feed, struct slice piece)
{
    struct ws_parser *parser = feed->parser;
    assert(piece.len <= sizeof parser->control - parser->control_len);
    memcpy(parser->control + parser->control_len, piece.ptr, piece.len);
    parser->control_len += piece.len;
    if (parser->payload_left > 0)
        return NULL;

    struct slice payload = slice_of(parser->control, parser->control_len);
    if (parser->header.opcode == WS_CLOSE)
        return take_close(feed, payload);
    /* Nobody waits for a Pong: that something came is heartbeat enough. */
    if (parser->header.opcode == WS_PING && !feed->session->data_ignored)
        feed->pool->handlers.on_ping(feed->arg, payload);
    return NULL;
}

/* --- data frames (RFC 6455 5.6, 6.2) --- */

static const struct ws_breach *begin_data(struct feed *feed)
{
    struct ws_message *message = &feed->parser->message;
    const struct ws_header *header = &feed->parser->header;
    if (!message->open)
        ws_message_begin(message, header);
    if (feed->session->data_ignored)
        return NULL;
    if (message->compressed && message->inflater == NULL) {
        message->inflater = ws_pool_take_inflater(feed->pool);
        if (message->inflater == NULL)
            return &ws_out_of_memory;
    }
    return ws_message_count_frame(message, header, &feed->pool->limits);
}

static void end_message(struct feed *feed)
{
    struct ws_message *message = &feed->parser->message;
    ws_pool_take_back_inflater(feed->pool, message);
    ws_message_end(message);
}

static const struct ws_breach *take_data(struct feed *feed, struct slice piece)
{
    struct ws_parser *parser = feed->parser;
    struct ws_message *message = &parser->message;
    bool last = parser->header.fin && parser->payload_left == 0;
    if (!feed->session->data_ignored) {
        struct slice whole;
        const struct ws_breach *breach = ws_message_add(message, piece, last, &whole);
        if (breach != NULL)
            return breach;
        if (last && message->compressed)
            feed->session->inflated += (uint32_t)whole.len;
        if (last)
            feed->pool->handlers.on_message(feed->arg, message->opcode, whole);
    }
    if (last)
        end_message(feed);
    return NULL;
}

/* --- frames --- */

/* Takes what is there of the header. */
static const struct ws_breach *take_header(struct feed *feed)
{
    struct ws_parser *parser = feed->parser;
    const struct ws_header_rules rules = {
        .deflate = feed->session->deflate,
        .fragmented = parser->message.open,
    };
    const struct ws_breach *breach = ws_header_feed(&parser->header, &rules, &feed->bytes);
    if (breach != NULL || !ws_header_is_whole(&parser->header))
        return breach;
    ws_parser_begin_payload(parser);
    return ws_header_is_control(&parser->header) ? NULL : begin_data(feed);
}

/* Takes a piece of the payload, which may be all of it, or empty. */
static const struct ws_breach *take_payload(struct feed *feed)
{
    static const struct ws_breach refused = {WS_CLOSE_PROTOCOL_ERROR, "invalid frame"};
    struct ws_parser *parser = feed->parser;
    struct slice piece;
    if (!ws_parser_read_payload(parser, &feed->bytes, &piece))
        return &refused;
    const struct ws_breach *breach =
        ws_header_is_control(&parser->header) ? take_control(feed, piece) : take_data(feed, piece);
    if (breach == NULL && parser->payload_left == 0) {
        ws_parser_end_frame(parser);
        feed->session->frames++;
    }
    return breach;
}

static const struct ws_breach *take_piece(struct feed *feed)
{
    if (feed->parser == NULL)
        feed->parser = feed->session->parser = ws_pool_take_parser(feed->pool);
    if (feed->parser == NULL)
        return &ws_out_of_memory;
    struct ws_parser *parser = feed->parser;
    if (!ws_header_is_whole(&parser->header)) {
        const struct ws_breach *breach = take_header(feed);
        if (breach != NULL || !ws_header_is_whole(&parser->header))
            return breach;
    }
    bool can_move = feed->bytes.len > 0 || parser->payload_left == 0;
    return can_move ? take_payload(feed) : NULL;
}

size_t ws_session_feed(struct ws_session *session, struct ws_pool *pool, void *arg,
                       struct slice bytes)
{
    struct feed feed = {session, pool, session->parser, arg, bytes};
    session->held = false;
    while (feed.bytes.len > 0 && !session->stopped && !session->held) {
        const struct ws_breach *breach = take_piece(&feed);
        if (breach != NULL) {
            session->stopped = true;
            pool->handlers.on_error(arg, breach->code, breach->reason);
        }
    }
    if (feed.parser != NULL && (session->stopped || ws_parser_is_idle(feed.parser))) {
        ws_pool_give_parser(pool, feed.parser);
        session->parser = NULL;
    } else if (feed.parser != NULL) {
        ws_pool_count_parser(pool, feed.parser);
    }
    return session->stopped ? 0 : feed.bytes.len;
}

void ws_session_hold(struct ws_session *session)
{
    session->held = true;
}
