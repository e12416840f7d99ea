/*
 * Whether something is in use is asked, not counted: each part of a client uses its fields as it
 * likes, and says client_settle when it may be done.
 */
#include "core/chat/client_work.h"

#include "core/base/mem.h"
#include "core/chat/client.h"
#include "core/chat/shard.h"

struct client_work *client_need_work(struct client *client)
{
    if (client->work != NULL)
        return client->work;
    struct client_work *work = slab_try_alloc(&client->shard->works);
    if (work == NULL)
        return NULL;
    *work = (struct client_work){.client = client, .fd = -1};
    outq_init(&work->outq);
    client->work = work;
    return work;
}

void client_end_work(struct client *client)
{
    struct client_work *work = client->work;
    if (work == NULL)
        return;
    list_remove(&work->midway);
    list_remove(&work->paced);
    list_remove(&work->heavy);
    outq_fini(&work->outq);
    mem_free(work->stash);
    mem_free(work->said);
    slab_free(&client->shard->works, work);
    client->work = NULL;
}

/* What was said of its end is kept until it is over, and so is the task that carries it out. */
static bool is_in_use(const struct client *client)
{
    const struct client_work *work = client->work;
    return client->state != CLIENT_OPEN || client->close_reason != NULL ||
           !outq_is_empty(&work->outq) || work->stash != NULL || list_has_link(&work->midway) ||
           list_has_link(&work->paced) || list_has_link(&work->heavy) ||
           work->pace_us > loop_now_ms(client->shard->loop) * 1000;
}

void client_settle(struct client *client)
{
    if (client->work != NULL && !is_in_use(client))
        client_end_work(client);
}

struct stash *stash_try_create(struct slice bytes)
{
    struct stash *stash = mem_try_alloc(sizeof *stash + bytes.len);
    if (stash == NULL)
        return NULL;
    stash->len = bytes.len;
    memcpy(stash->bytes, bytes.ptr, bytes.len);
    return stash;
}
