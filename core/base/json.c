#include "core/base/json.h"

#include "core/base/utf8.h"

enum { LONGEST_SEQUENCE = 4 };

/* Octets of the code point at the start of `text`, 0 when it is none. */
static size_t sequence_len(struct slice text)
{
    struct utf8_state state = {0};
    size_t most = text.len < LONGEST_SEQUENCE ? text.len : LONGEST_SEQUENCE;
    for (size_t i = 0; i < most && utf8_feed(&state, text.ptr + i, 1); i++)
        if (utf8_is_complete(&state))
            return i + 1;
    return 0;
}

/* ASCII that stands in a JSON string as it is. */
static const bool is_plain[256] = {
    [' ' ... '!'] = true, ['#' ... '['] = true, [']' ... 0x7F] = true};

static size_t plain_ascii_len(struct slice text)
{
    size_t len = 0;
    for (; text.len - len >= sizeof(uint64_t); len += sizeof(uint64_t)) {
        uint64_t word = octets_load(text.ptr + len);
        uint64_t found = json_find_special(word) | (word & OCTETS_NOT_ASCII);
        if (found != 0)
            return len + octets_first(found);
    }
    while (len < text.len && is_plain[(unsigned char)text.ptr[len]])
        len++;
    return len;
}

/* How much of the start of `text` may stand in a JSON string as it is. */
static size_t plain_len(struct slice text)
{
    size_t len = 0, step;
    do {
        len += plain_ascii_len(slice_skip(text, len));
        bool is_ascii = len == text.len || (unsigned char)text.ptr[len] < 0x80;
        step = is_ascii ? 0 : sequence_len(slice_skip(text, len));
        len += step;
    } while (step != 0);
    return len;
}

static void append_escape(struct buf *buf, unsigned char octet)
{
    static const char digits[] = "0123456789abcdef";
    static const char letters[] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                   ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    if (octet >= 0x80) {
        buf_append_str(buf, "\xEF\xBF\xBD");
    } else if (letters[octet] != 0) {
        char escape[] = {'\\', letters[octet]};
        buf_append(buf, escape, sizeof escape);
    } else {
        char escape[] = {'\\', 'u', '0', '0', digits[octet >> 4], digits[octet & 15]};
        buf_append(buf, escape, sizeof escape);
    }
}

void json_append_string(struct buf *buf, struct slice text)
{
    buf_append_char(buf, '"');
    while (text.len > 0) {
        size_t plain = plain_len(text);
        buf_append(buf, text.ptr, plain);
        text = slice_skip(text, plain);
        if (text.len > 0) {
            append_escape(buf, (unsigned char)text.ptr[0]);
            text = slice_skip(text, 1);
        }
    }
    buf_append_char(buf, '"');
}
