/*
 * permessage-deflate: inflation of any octets, compared with zlib alone, and the way there and
 * back.
 *
 *     octet 0    what to do: odd: inflate, even: deflate and inflate
 *     octet 1    length of the pieces (0 as 1), window
 *     the rest   compressed octets, or a message
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include "core/base/buf.h"
#include "core/ws/deflate.h"

enum { INFLATED_MAX = 10000, MEMORY_MAX = 64 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static enum err inflate_pieces(struct slice packed, size_t step, struct buf *out)
{
    struct inflater *inflater = inflater_create();
    enum err err = ERR_OK;
    while (err == ERR_OK && packed.len > 0) {
        size_t len = packed.len < step ? packed.len : step;
        err = inflater_feed(inflater, slice_of(packed.ptr, len), false, out);
        require(out->len <= out->max);
        packed = slice_skip(packed, len);
    }
    if (err == ERR_OK)
        err = inflater_feed(inflater, slice_of("", 0), true, out);
    inflater_destroy(inflater);
    return err;
}

/* zlib with all of it at once, and room enough to show what is too much. Where a final block ends
 * the stream the model has nothing to say (RFC 7692 7.2.3.4). */
static void compare_with_zlib(struct slice packed, enum err err, struct slice plain)
{
    static const unsigned char tail[] = {0x00, 0x00, 0xFF, 0xFF};
    static unsigned char expected[INFLATED_MAX + 1];
    z_stream stream = {.next_out = expected, .avail_out = sizeof expected};
    struct buf in;
    buf_init(&in, packed.len + sizeof tail);
    buf_append_slice(&in, packed);
    buf_append(&in, tail, sizeof tail);
    stream.next_in = (unsigned char *)in.ptr;
    stream.avail_in = (unsigned)in.len;
    require(inflateInit2(&stream, -MAX_WBITS) == Z_OK);
    int result = inflate(&stream, Z_SYNC_FLUSH);
    size_t len = sizeof expected - stream.avail_out;
    bool is_whole =
        (stream.data_type & (128 | 7)) == 128; /* between two blocks, with no bits left */
    if (len > INFLATED_MAX)
        require(err == ERR_FULL);
    else if (result == Z_DATA_ERROR)
        require(err == ERR_INVALID);
    else if (result != Z_STREAM_END)
        require(err == (is_whole ? ERR_OK : ERR_INVALID));
    if (err == ERR_OK && result != Z_STREAM_END)
        require(slice_equals(plain, slice_of(expected, len)));
    require(inflateEnd(&stream) == Z_OK);
    buf_fini(&in);
}

/* In one piece and in many: the same outcome, and the one that zlib has. */
static void inflate_any(struct slice packed, size_t step)
{
    struct buf whole, cut;
    buf_init(&whole, INFLATED_MAX);
    buf_init(&cut, INFLATED_MAX);
    enum err err = inflate_pieces(packed, packed.len, &whole);
    require(inflate_pieces(packed, step, &cut) == err);
    require(err != ERR_OK || slice_equals(buf_slice(&whole), buf_slice(&cut)));
    if (packed.len > 0)
        compare_with_zlib(packed, err, buf_slice(&whole));
    else
        require(err == ERR_OK && whole.len == 0);
    buf_fini(&whole);
    buf_fini(&cut);
}

static void there_and_back(struct slice message, size_t step)
{
    struct deflater *deflater = deflater_create(9 + (int)(step % 7));
    struct buf packed, plain;
    buf_init(&packed, MEMORY_MAX);
    buf_init(&plain, message.len);
    require(deflater_run(deflater, slice_of("before", 6), &packed) == ERR_OK);
    size_t start = packed.len;
    require(deflater_run(deflater, message, &packed) == ERR_OK && packed.len > start);
    require(inflate_pieces(slice_skip(buf_slice(&packed), start), step, &plain) == ERR_OK);
    require(slice_equals(buf_slice(&plain), message));
    buf_fini(&packed);
    buf_fini(&plain);
    deflater_destroy(deflater);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct slice rest = slice_of(data + 2, size - 2);
    size_t step = data[1] != 0 ? data[1] : 1;
    if (data[0] % 2 == 1)
        inflate_any(rest, step);
    else
        there_and_back(rest, step);
    return 0;
}
