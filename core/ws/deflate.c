#include "core/ws/deflate.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <zlib.h>

#include "core/base/mem.h"

/*
 * Raw deflate by zlib. A message ends with a sync flush, whose 00 00 FF FF never goes on the wire
 * (RFC 7692 7.2.1, 7.2.2). Both directions write into a struct buf in steps, so that its maximum
 * holds whatever the ratio. zlib's memory comes from mem_try_*, because how much of it is had at
 * once is decided by peers.
 */

enum {
    TAIL_LEN = 4,
    /* Room made at a time to inflate; the buffer itself doubles. */
    STEP_BYTES = 1024,
    /* What a sync flush adds to a message at most, and then some. */
    FLUSH_BYTES = 16,
    /* The fastest: on chat of up to 4 KiB it comes within 3 % of level 6, which takes four times as
     * long for 64 KiB (2 ms of a loop's time). */
    DEFLATE_LEVEL = Z_BEST_SPEED,
    DEFLATE_MEM_LEVEL = 8, /* zlib's default; smaller ones are not faster */
};

static const unsigned char tail[TAIL_LEN] = {0x00, 0x00, 0xFF, 0xFF};

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
    (void)opaque;
    return mem_try_resize(NULL, items, size);
}

static void zlib_free(voidpf opaque, voidpf address)
{
    (void)opaque;
    mem_free(address);
}

/* Lets the stream write into the room that the buffer has behind its contents. */
static void offer_room(z_stream *stream, const struct buf *out)
{
    size_t room = out->cap - out->len;
    stream->next_out = (Bytef *)out->ptr + out->len;
    stream->avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
}

/* Counts what the stream wrote there. */
static void accept_output(const z_stream *stream, struct buf *out)
{
    out->len = (size_t)((char *)stream->next_out - out->ptr);
}

struct deflater {
    z_stream stream;
};

struct deflater *deflater_create(int window_bits)
{
    assert(window_bits >= 9 && window_bits <= MAX_WBITS);
    struct deflater *deflater = mem_try_alloc(sizeof *deflater);
    if (deflater == NULL)
        return NULL;
    deflater->stream = (z_stream){.zalloc = zlib_alloc, .zfree = zlib_free};
    if (deflateInit2(&deflater->stream, DEFLATE_LEVEL, Z_DEFLATED, -window_bits, DEFLATE_MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        mem_free(deflater);
        return NULL;
    }
    return deflater;
}

void deflater_destroy(struct deflater *deflater)
{
    if (deflater == NULL)
        return;
    deflateEnd(&deflater->stream);
    mem_free(deflater);
}

enum err deflater_run(struct deflater *deflater, struct slice message, struct buf *out)
{
    z_stream *stream = &deflater->stream;
    if (out->err != ERR_OK)
        return out->err;
    /* RFC 7692 7.2.3.6, without asking zlib, which gives nothing for a flush right behind one. */
    if (message.len == 0) {
        buf_append_char(out, 0x00);
        return out->err;
    }
    size_t left = out->max - out->len;
    if (message.len > UINT_MAX / 2 || left == 0)
        return out->err = ERR_FULL;
    deflateReset(stream);
    /* zlib's bound does not know of the flush. */
    size_t room = deflateBound(stream, message.len) + FLUSH_BYTES;
    if (buf_reserve(out, room < left ? room : left) != ERR_OK)
        return out->err;
    offer_room(stream, out);
    stream->next_in = (z_const Bytef *)(uintptr_t)message.ptr;
    stream->avail_in = (uInt)message.len;
    deflate(stream, Z_SYNC_FLUSH);
    /* A flush that filled all of its room may have more to say. */
    if (stream->avail_out == 0)
        return out->err = ERR_FULL;
    accept_output(stream, out);
    out->len -= TAIL_LEN;
    return ERR_OK;
}

struct inflater {
    z_stream stream;
};

struct inflater *inflater_create(void)
{
    struct inflater *inflater = mem_try_alloc(sizeof *inflater);
    if (inflater == NULL)
        return NULL;
    inflater->stream = (z_stream){.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit2(&inflater->stream, -MAX_WBITS) != Z_OK) {
        mem_free(inflater);
        return NULL;
    }
    return inflater;
}

void inflater_destroy(struct inflater *inflater)
{
    if (inflater == NULL)
        return;
    inflateEnd(&inflater->stream);
    mem_free(inflater);
}

void inflater_reset(struct inflater *inflater)
{
    inflateReset(&inflater->stream);
}

/*
 * One step of inflation into `out`. At the maximum a single octet aside tells a message that just
 * fits (what is left of its input makes no output) from one that does not.
 */
static enum err inflate_step(z_stream *stream, struct buf *out, int *result)
{
    if (out->len == out->max) {
        unsigned char excess;
        /* Each step sets next_out anew before it is used. */
        /* cppcheck-suppress autoVariables */
        stream->next_out = &excess;
        stream->avail_out = 1;
        *result = inflate(stream, Z_SYNC_FLUSH);
        return stream->avail_out == 0 ? out->err = ERR_FULL : ERR_OK;
    }
    size_t left = out->max - out->len;
    if (out->len == out->cap && buf_reserve(out, left < STEP_BYTES ? left : STEP_BYTES) != ERR_OK)
        return out->err;
    offer_room(stream, out);
    *result = inflate(stream, Z_SYNC_FLUSH);
    accept_output(stream, out);
    return ERR_OK;
}

static enum err inflate_all(z_stream *stream, struct slice piece, struct buf *out)
{
    stream->next_in = (z_const Bytef *)(uintptr_t)piece.ptr;
    stream->avail_in = (uInt)piece.len;
    while (stream->avail_in > 0 || stream->avail_out == 0) {
        int result = Z_OK;
        enum err err = inflate_step(stream, out, &result);
        if (err != ERR_OK)
            return err;
        if (result == Z_MEM_ERROR)
            return ERR_NOMEM;
        if (result == Z_BUF_ERROR) /* nothing left to do, after all */
            return ERR_OK;
        /* A final block ends the stream, not the message (RFC 7692 7.2.3.4): the next one begins at
         * the next octet. Its window is empty, as that of a compressor which started anew. */
        if (result == Z_STREAM_END)
            inflateReset(stream);
        else if (result != Z_OK)
            return ERR_INVALID;
    }
    return ERR_OK;
}

enum err inflater_feed(struct inflater *inflater, struct slice piece, bool last, struct buf *out)
{
    /* What zlib says of itself in data_type: it stands between two blocks, with no bits left. */
    enum { BETWEEN_BLOCKS = 128, UNUSED_BITS = 7 };
    z_stream *stream = &inflater->stream;

    assert(piece.len <= UINT_MAX);
    if (out->err != ERR_OK)
        return out->err;
    stream->avail_out = 1; /* nothing is pending at the start */
    enum err err = inflate_all(stream, piece, out);
    if (err != ERR_OK || !last)
        return err;
    /* Nothing since the beginning or since a final block: the message is whole without the tail. */
    if (stream->total_in == 0)
        return ERR_OK;
    err = inflate_all(stream, slice_of(tail, TAIL_LEN), out);
    if (err != ERR_OK)
        return err;
    bool whole = (stream->data_type & (BETWEEN_BLOCKS | UNUSED_BITS)) == BETWEEN_BLOCKS;
    return whole ? ERR_OK : ERR_INVALID;
}
