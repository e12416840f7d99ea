#include "core/ws/header.h"

enum {
    FIN = 0x80,
    RSV1 = 0x40,
    RSV2_RSV3 = 0x30,
    OPCODE = 0x0F,
    MASKED = 0x80,
    LENGTH = 0x7F,
    LENGTH_16_BITS = 126, /* values of LENGTH: the length stands in the next octets */
    LENGTH_64_BITS = 127,
    KEY_OCTETS = 4,
};

/* What can be wrong with a header. */
enum breach {
    RESERVED_BITS,
    COMPRESSED_CONTROL,
    COMPRESSED_CONTINUATION,
    UNKNOWN_OPCODE,
    FRAGMENTED_CONTROL,
    NOTHING_TO_CONTINUE,
    MESSAGE_INTERLEAVED,
    NOT_MASKED,
    CONTROL_TOO_LONG,
    CLOSE_OF_ONE_OCTET,
    LENGTH_NOT_MINIMAL,
    LENGTH_TOP_BIT,
};

static const struct ws_breach *breach(enum breach which)
{
    static const struct ws_breach all[] = {
        [RESERVED_BITS] = {WS_CLOSE_PROTOCOL_ERROR, "reserved bits set"},
        [COMPRESSED_CONTROL] = {WS_CLOSE_PROTOCOL_ERROR, "compressed control frame"},
        [COMPRESSED_CONTINUATION] = {WS_CLOSE_PROTOCOL_ERROR, "RSV1 on a continuation frame"},
        [UNKNOWN_OPCODE] = {WS_CLOSE_PROTOCOL_ERROR, "unknown opcode"},
        [FRAGMENTED_CONTROL] = {WS_CLOSE_PROTOCOL_ERROR, "fragmented control frame"},
        [NOTHING_TO_CONTINUE] = {WS_CLOSE_PROTOCOL_ERROR, "continuation without a message"},
        [MESSAGE_INTERLEAVED] = {WS_CLOSE_PROTOCOL_ERROR, "new message inside a fragmented one"},
        [NOT_MASKED] = {WS_CLOSE_PROTOCOL_ERROR, "frame not masked"},
        [CONTROL_TOO_LONG] = {WS_CLOSE_PROTOCOL_ERROR, "control frame over 125 bytes"},
        [CLOSE_OF_ONE_OCTET] = {WS_CLOSE_PROTOCOL_ERROR, "close frame of one byte"},
        [LENGTH_NOT_MINIMAL] = {WS_CLOSE_PROTOCOL_ERROR, "length not in shortest form"},
        [LENGTH_TOP_BIT] = {WS_CLOSE_PROTOCOL_ERROR, "length with the top bit set"},
    };
    return &all[which];
}

/* RFC 6455 5.4: fragments of one message only, one after another. */
static const struct ws_breach *judge_data(const struct ws_header *header,
                                          const struct ws_header_rules *rules)
{
    if (header->opcode == WS_CONTINUATION)
        return rules->fragmented ? NULL : breach(NOTHING_TO_CONTINUE);
    return rules->fragmented ? breach(MESSAGE_INTERLEAVED) : NULL;
}

/* RFC 6455 5.2; RSV1 is RFC 7692's where that was agreed on. */
static const struct ws_breach *judge_reserved_bits(const struct ws_header *header,
                                                   const struct ws_header_rules *rules)
{
    if ((header->octets[0] & RSV2_RSV3) != 0 || (header->compressed && !rules->deflate))
        return breach(RESERVED_BITS);
    if (header->compressed && ws_header_is_control(header))
        return breach(COMPRESSED_CONTROL); /* RFC 7692 6.1 */
    if (header->compressed && header->opcode == WS_CONTINUATION)
        return breach(COMPRESSED_CONTINUATION); /* RFC 7692 6.1 */
    return NULL;
}

static const struct ws_breach *take_first(struct ws_header *header,
                                          const struct ws_header_rules *rules)
{
    unsigned char octet = header->octets[0];
    header->fin = (octet & FIN) != 0;
    header->compressed = (octet & RSV1) != 0;
    header->opcode = (enum ws_opcode)(octet & OPCODE);

    const struct ws_breach *found = judge_reserved_bits(header, rules);
    if (found != NULL)
        return found;
    switch (header->opcode) {
    case WS_CONTINUATION:
    case WS_TEXT:
    case WS_BINARY:
        return judge_data(header, rules);
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        return header->fin ? NULL : breach(FRAGMENTED_CONTROL); /* RFC 6455 5.5 */
    default:
        return breach(UNKNOWN_OPCODE); /* RFC 6455 5.2 */
    }
}

static const struct ws_breach *take_second(struct ws_header *header)
{
    unsigned char octet = header->octets[1];
    unsigned length = octet & LENGTH;
    if ((octet & MASKED) == 0)
        return breach(NOT_MASKED); /* RFC 6455 5.1 */
    if (ws_header_is_control(header) && length > WS_CONTROL_PAYLOAD_MAX)
        return breach(CONTROL_TOO_LONG); /* RFC 6455 5.5 */
    if (header->opcode == WS_CLOSE && length == 1)
        return breach(CLOSE_OF_ONE_OCTET); /* RFC 6455 5.5.1 */
    header->payload_len = length;
    header->len = 2 + KEY_OCTETS;
    if (length == LENGTH_16_BITS)
        header->len += 2;
    else if (length == LENGTH_64_BITS)
        header->len += 8;
    return NULL;
}

/* Called at the last octet of a longer length. */
static const struct ws_breach *take_length(struct ws_header *header)
{
    uint64_t length = 0;
    for (size_t i = 2; i < header->have; i++)
        length = length << 8 | header->octets[i];
    uint64_t shorter_forms_max = header->payload_len == LENGTH_16_BITS ? 125 : UINT16_MAX;
    if (length <= shorter_forms_max)
        return breach(LENGTH_NOT_MINIMAL); /* RFC 6455 5.2 */
    header->payload_len = length;
    return NULL;
}

static const struct ws_breach *take_octet(struct ws_header *header,
                                          const struct ws_header_rules *rules, unsigned char octet)
{
    header->octets[header->have++] = octet;
    if (header->have == 1)
        return take_first(header, rules);
    if (header->have == 2)
        return take_second(header);
    bool long_form = header->len == WS_CLIENT_HEADER_MAX;
    if (long_form && header->have == 3 && (octet & 0x80) != 0)
        return breach(LENGTH_TOP_BIT); /* RFC 6455 5.2 */
    if (header->len > 2 + KEY_OCTETS && header->have == header->len - KEY_OCTETS)
        return take_length(header);
    return NULL;
}

const struct ws_breach *ws_header_feed(struct ws_header *header,
                                       const struct ws_header_rules *rules, struct slice *bytes)
{
    while (bytes->len > 0 && !ws_header_is_whole(header)) {
        unsigned char octet = (unsigned char)bytes->ptr[0];
        *bytes = slice_skip(*bytes, 1);
        const struct ws_breach *found = take_octet(header, rules, octet);
        if (found != NULL)
            return found;
    }
    return NULL;
}
