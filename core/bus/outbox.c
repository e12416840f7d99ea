/*
 * A list under a lock. Memory is had before the lock is taken and given back after it is left: what
 * is dropped under the lock only moves to a local list.
 */
#include "core/bus/outbox.h"

#include "core/base/mem.h"

static struct outbox_message *message_of(struct list_link *link)
{
    return LIST_ENTRY(link, struct outbox_message, link);
}

static size_t message_bytes(const struct outbox_message *message)
{
    return sizeof *message + message->room_len + message->blob->len;
}

/* NULL when there is no memory. */
static struct outbox_message *message_try_create(struct slice room, struct blob *blob,
                                                 size_t offset)
{
    struct outbox_message *message = mem_try_alloc(sizeof *message + room.len);
    if (message == NULL)
        return NULL;
    *message = (struct outbox_message){
        .blob = blob_retain(blob),
        .offset = offset,
        .is_global = room.ptr == NULL,
        .room_len = room.len,
    };
    if (!message->is_global)
        memcpy(message->room, room.ptr, room.len);
    return message;
}

static void free_messages(struct list *messages)
{
    for (struct list_link *link; (link = list_pop_front(messages)) != NULL;) {
        struct outbox_message *message = message_of(link);
        blob_release(message->blob);
        mem_free(message);
    }
}

void outbox_init(struct outbox *outbox, size_t max_messages, size_t max_bytes)
{
    *outbox = (struct outbox){.max_messages = max_messages, .max_bytes = max_bytes};
    lock_init(&outbox->lock);
    list_init(&outbox->waiting);
}

void outbox_fini(struct outbox *outbox)
{
    free_messages(&outbox->waiting);
    lock_fini(&outbox->lock);
}

static bool is_over_bound_locked(const struct outbox *outbox) REQUIRES(outbox->lock)
{
    size_t max_messages = outbox->max_messages;
    if (outbox->flowing && max_messages < OUTBOX_FLOWING_MIN)
        max_messages = OUTBOX_FLOWING_MIN;
    return outbox->messages > max_messages || outbox->bytes > outbox->max_bytes;
}

/* The one place where a full outbox is dealt with: the oldest goes, to `dropped`. */
static size_t trim_locked(struct outbox *outbox, struct list *dropped) REQUIRES(outbox->lock)
{
    size_t count = 0;
    while (is_over_bound_locked(outbox) && !list_is_empty(&outbox->waiting)) {
        struct outbox_message *message = message_of(list_first(&outbox->waiting));
        outbox->messages--;
        outbox->bytes -= message_bytes(message);
        list_move_back(dropped, &message->link);
        count++;
    }
    outbox->dropped += count;
    return count;
}

size_t outbox_push(struct outbox *outbox, struct slice room, struct blob *blob, size_t offset,
                   bool *must_wake)
{
    return outbox_push_asking(outbox, room, blob, offset, 0, must_wake);
}

size_t outbox_push_asking(struct outbox *outbox, struct slice room, struct blob *blob,
                          size_t offset, uint64_t ask, bool *must_wake)
{
    struct outbox_message *message = message_try_create(room, blob, offset);
    struct list dropped;
    size_t count = 1;
    list_init(&dropped);
    lock_acquire(&outbox->lock);
    *must_wake = message != NULL && outbox->flowing;
    if (message != NULL) {
        message->ask = ask;
        outbox->messages++;
        outbox->bytes += message_bytes(message);
        list_push_back(&outbox->waiting, &message->link);
        count = trim_locked(outbox, &dropped);
    } else {
        outbox->dropped++;
    }
    lock_release(&outbox->lock);
    free_messages(&dropped);
    return count;
}

size_t outbox_take(struct outbox *outbox, size_t max_count, size_t max_bytes, struct list *out)
{
    size_t count = 0, bytes = 0;
    lock_acquire(&outbox->lock);
    while (count < max_count && !list_is_empty(&outbox->waiting)) {
        struct outbox_message *message = message_of(list_first(&outbox->waiting));
        bytes += message_bytes(message);
        if (count > 0 && bytes > max_bytes)
            break;
        list_move_back(out, &message->link);
        count++;
    }
    lock_release(&outbox->lock);
    return count;
}

void outbox_settle(struct outbox *outbox, struct list *taken, size_t dropped)
{
    size_t count = 0, bytes = 0;
    if (list_is_empty(taken))
        return;
    for (struct list_link *link = taken->head.next; link != &taken->head; link = link->next) {
        count++;
        bytes += message_bytes(message_of(link));
    }
    lock_acquire(&outbox->lock);
    outbox->messages -= count;
    outbox->bytes -= bytes;
    outbox->dropped += dropped;
    lock_release(&outbox->lock);
    free_messages(taken);
}

void outbox_give_back(struct outbox *outbox, struct list *taken)
{
    lock_acquire(&outbox->lock);
    list_append(taken, &outbox->waiting);
    list_append(&outbox->waiting, taken);
    lock_release(&outbox->lock);
}

size_t outbox_set_flowing(struct outbox *outbox, bool flowing)
{
    struct list dropped;
    list_init(&dropped);
    lock_acquire(&outbox->lock);
    outbox->flowing = flowing;
    size_t count = trim_locked(outbox, &dropped);
    lock_release(&outbox->lock);
    free_messages(&dropped);
    return count;
}

struct outbox_counts outbox_get_counts(struct outbox *outbox)
{
    lock_acquire(&outbox->lock);
    struct outbox_counts counts = {
        .messages = outbox->messages,
        .bytes = outbox->bytes,
        .dropped = outbox->dropped,
    };
    lock_release(&outbox->lock);
    return counts;
}
