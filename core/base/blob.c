#include "core/base/blob.h"

#include <stdint.h>

#include "core/base/mem.h"

struct blob *blob_try_create(size_t len)
{
    if (len > SIZE_MAX - sizeof(struct blob))
        return NULL;
    struct blob *blob = mem_try_alloc(sizeof *blob + len);
    if (blob == NULL)
        return NULL;
    atomic_init(&blob->refs, 1);
    blob->len = len;
    return blob;
}

struct blob *blob_retain(struct blob *blob)
{
    /* Relaxed is enough: who retains holds a count already, so nothing can be freed meanwhile. */
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

void blob_release(struct blob *blob)
{
    /* Release orders our reads before the drop, acquire orders the free after everybody's. */
    if (blob != NULL && atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) == 1)
        mem_free(blob);
}
