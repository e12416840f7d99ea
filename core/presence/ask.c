/*
 * Commands whose answers are wanted: what Redis said is copied on the bus thread, and looked at on
 * the presence thread.
 */
#include <string.h>

#include "core/base/mem.h"
#include "core/bus/bus.h"
#include "core/presence/inside.h"

static void add_text(struct ask *ask, const struct bus_reply *reply, size_t *bytes)
{
    struct slice text = bus_reply_text(reply);
    if (text.ptr != NULL && ask->bytes != NULL) {
        memcpy(ask->bytes + *bytes, text.ptr, text.len);
        text.ptr = ask->bytes + *bytes;
    }
    if (ask->texts != NULL)
        ask->texts[ask->count] = text;
    *bytes += text.len;
    ask->count++;
}

/* No answer that is asked for here is deeper than an array in an array. Without memory it only
 * counts. */
static size_t add_texts(struct ask *ask, const struct bus_reply *reply)
{
    size_t bytes = 0;
    ask->count = 0;
    if (bus_reply_count(reply) == 0)
        add_text(ask, reply, &bytes);
    for (size_t i = 0; i < bus_reply_count(reply); i++) {
        const struct bus_reply *element = bus_reply_at(reply, i);
        if (bus_reply_count(element) == 0)
            add_text(ask, element, &bytes);
        for (size_t k = 0; k < bus_reply_count(element); k++)
            add_text(ask, bus_reply_at(element, k), &bytes);
    }
    return bytes;
}

static void run_ask(struct loop_task *task, struct loop *loop)
{
    struct ask *ask = (struct ask *)task;
    (void)loop;
    ask->then(ask->presence, ask->arg, ask);
    mem_free(ask->texts);
    mem_free(ask->bytes);
    mem_free(ask);
}

/* On the bus thread. */
static void on_answer(void *arg, const struct bus_reply *reply)
{
    struct ask *ask = arg;
    size_t bytes = add_texts(ask, reply);
    ask->texts = mem_try_resize(NULL, ask->count, sizeof *ask->texts);
    ask->bytes = mem_try_alloc(bytes + 1);
    ask->failed = reply == NULL || ask->texts == NULL || ask->bytes == NULL;
    if (!ask->failed)
        add_texts(ask, reply);
    loop_post(ask->presence->loop, &ask->task);
}

void presence_command(struct presence *presence, const struct slice *words, size_t count,
                      void (*then)(struct presence *presence, void *arg, const struct ask *ask),
                      void *arg)
{
    if (then == NULL) {
        bus_command(presence->bus, words, count, NULL, NULL);
        return;
    }
    struct ask *ask = mem_zalloc(sizeof *ask);
    *ask = (struct ask){.task.run = run_ask, .presence = presence, .then = then, .arg = arg};
    bus_command(presence->bus, words, count, on_answer, ask);
}
