#include "core/chat/message.h"

#include "core/base/mem.h"
#include "core/ws/deflate.h"
#include "core/ws/frame.h"

enum { WINDOW_BITS = 15 };

void compressor_init(struct compressor *compressor)
{
    compressor->deflater = NULL;
    buf_init(&compressor->scratch, SIZE_MAX / 2);
}

void compressor_fini(struct compressor *compressor)
{
    deflater_destroy(compressor->deflater);
    compressor->deflater = NULL;
    buf_fini(&compressor->scratch);
}

static struct blob *make_frame(enum ws_opcode opcode, struct slice payload, bool compressed)
{
    size_t header_len = ws_frame_header_len(payload.len);
    struct blob *blob = blob_try_create(header_len + payload.len);
    if (blob == NULL)
        return NULL;
    ws_frame_write_header(opcode, compressed, payload.len, blob->bytes);
    memcpy(blob->bytes + header_len, payload.ptr, payload.len);
    return blob;
}

struct message *message_try_create(enum ws_opcode opcode, struct slice payload,
                                   uint64_t received_ns)
{
    struct message *message = mem_try_alloc(sizeof *message);
    struct blob *plain = make_frame(opcode, payload, false);
    if (message == NULL || plain == NULL) {
        mem_free(message);
        blob_release(plain);
        return NULL;
    }
    *message = (struct message){.received_ns = received_ns,
                                .plain = plain,
                                .payload_at = ws_frame_header_len(payload.len),
                                .opcode = opcode};
    atomic_init(&message->refs, 1);
    return message;
}

void message_compress(struct message *message, struct compressor *compressor)
{
    struct slice payload = message_payload(message);
    if (compressor->deflater == NULL)
        compressor->deflater = deflater_create(WINDOW_BITS);
    if (compressor->deflater == NULL)
        return;
    struct buf *out = &compressor->scratch;
    buf_clear(out);
    if (deflater_run(compressor->deflater, payload, out) == ERR_OK && out->len < payload.len)
        message->deflated = make_frame(message->opcode, buf_slice(out), true);
}

struct message *message_retain(struct message *message)
{
    /* Relaxed is enough: who retains holds a count already. */
    atomic_fetch_add_explicit(&message->refs, 1, memory_order_relaxed);
    return message;
}

void message_release(struct message *message)
{
    /* Orders everybody's reads before the free. */
    if (message == NULL || atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel) != 1)
        return;
    blob_release(message->plain);
    blob_release(message->deflated);
    mem_free(message);
}

struct slice message_payload(const struct message *message)
{
    return slice_skip(slice_of(message->plain->bytes, message->plain->len), message->payload_at);
}

struct slice message_frame(const struct message *message, bool deflate)
{
    const struct blob *blob =
        deflate && message->deflated != NULL ? message->deflated : message->plain;
    return slice_of(blob->bytes, blob->len);
}
