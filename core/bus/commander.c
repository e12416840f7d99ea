/*
 * A command is written in Redis' protocol by the thread that gives it; the bus thread only copies
 * bytes. Whoever is told `taken` writes its state anew, so a command that was dropped needs no
 * memory of its own: it is enough to say `taken` again.
 */
#include "core/bus/commander.h"

#include <stdio.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"

enum { HEAD_SIZE = 24 }; /* a type octet, a number, CRLF and a terminator */

struct command {
    struct list_link link;
    bus_done *done;
    void *arg;
    size_t len; /* bytes */
    char bytes[];
};

/* --- the answer, as those see it who know no hiredis --- */

static const redisReply *raw(const struct bus_reply *reply)
{
    return (const redisReply *)reply;
}

struct slice bus_reply_text(const struct bus_reply *reply)
{
    const redisReply *is = raw(reply);
    bool text = is != NULL && (is->type == REDIS_REPLY_STRING || is->type == REDIS_REPLY_STATUS);
    return text ? slice_of(is->str, is->len) : SLICE_NONE;
}

long long bus_reply_number(const struct bus_reply *reply)
{
    return reply != NULL && raw(reply)->type == REDIS_REPLY_INTEGER ? raw(reply)->integer : 0;
}

size_t bus_reply_count(const struct bus_reply *reply)
{
    return reply != NULL && raw(reply)->type == REDIS_REPLY_ARRAY ? raw(reply)->elements : 0;
}

const struct bus_reply *bus_reply_at(const struct bus_reply *reply, size_t i)
{
    return i < bus_reply_count(reply) ? (const struct bus_reply *)raw(reply)->element[i] : NULL;
}

/* --- the connection --- */

static void finish(struct commander *commander, struct command *command,
                   const struct redisReply *reply)
{
    lock_acquire(&commander->lock);
    commander->bytes -= command->len;
    lock_release(&commander->lock);
    if (command->done != NULL)
        command->done(command->arg, (const struct bus_reply *)reply);
    mem_free(command);
}

static void fail_all(struct commander *commander, struct list *commands)
{
    for (struct list_link *link; (link = list_pop_front(commands)) != NULL;)
        finish(commander, LIST_ENTRY(link, struct command, link), NULL);
}

static void on_up(void *arg)
{
    (void)arg; /* The turn looks whether the other connections stand, too. */
}

static void on_down(void *arg)
{
    struct commander *commander = arg;
    fail_all(commander, &commander->in_flight);
}

static const char *on_reply(void *arg, struct redisReply *reply)
{
    struct commander *commander = arg;
    struct list_link *link = list_first(&commander->in_flight);
    redis_link_answered(&commander->link);
    if (link == NULL)
        return "an answer that nobody asked for";
    bool failed = reply->type == REDIS_REPLY_ERROR;
    if (failed && redis_link_error_is_passing(reply->str))
        return reply->str;
    if (failed && log_pause_is_over(&commander->refused_pause))
        log_warn("redis:command_refused", log_str("reason", reply->str));
    list_remove(link);
    finish(commander, LIST_ENTRY(link, struct command, link), failed ? NULL : reply);
    return NULL;
}

void commander_init(struct commander *commander, const struct redis_link_opts *link_opts,
                    const struct commander_opts *opts)
{
    *commander = (struct commander){.opts = *opts};
    struct redis_link_opts own = *link_opts;
    own.name = "command";
    own.arg = commander;
    own.on_up = on_up;
    own.on_reply = on_reply;
    own.on_down = on_down;
    redis_link_init(&commander->link, &own);
    lock_init(&commander->lock);
    list_init(&commander->waiting);
    list_init(&commander->in_flight);
    list_init(&commander->arrived);
}

void commander_fini(struct commander *commander)
{
    redis_link_fini(&commander->link);
    lock_fini(&commander->lock);
}

void commander_start(struct commander *commander)
{
    lock_acquire(&commander->lock);
    commander->running = true;
    lock_release(&commander->lock);
}

static void take_arrived(struct commander *commander)
{
    lock_acquire(&commander->lock);
    list_append(&commander->waiting, &commander->arrived);
    lock_release(&commander->lock);
}

void commander_stop(struct commander *commander)
{
    lock_acquire(&commander->lock);
    commander->running = false;
    lock_release(&commander->lock);
    take_arrived(commander);
    fail_all(commander, &commander->in_flight);
    fail_all(commander, &commander->waiting);
}

/* --- giving --- */

static size_t word_len(const struct slice *pieces)
{
    size_t len = 0;
    for (; pieces->ptr != NULL; pieces++)
        len += pieces->len;
    return len;
}

static void append(struct command *command, const void *bytes, size_t len)
{
    memcpy(command->bytes + command->len, bytes, len);
    command->len += len;
}

static void append_head(struct command *command, char type, size_t number)
{
    char head[HEAD_SIZE];
    append(command, head, (size_t)snprintf(head, sizeof head, "%c%zu\r\n", type, number));
}

static struct command *make(const struct slice *const *words, size_t count)
{
    size_t size = HEAD_SIZE;
    for (size_t i = 0; i < count; i++)
        size += HEAD_SIZE + word_len(words[i]) + 2;
    struct command *command = mem_zalloc(sizeof *command + size);
    append_head(command, '*', count);
    for (size_t i = 0; i < count; i++) {
        append_head(command, '$', word_len(words[i]));
        for (const struct slice *piece = words[i]; piece->ptr != NULL; piece++)
            append(command, piece->ptr, piece->len);
        append(command, "\r\n", 2);
    }
    return command;
}

bool commander_give(struct commander *commander, const struct slice *const *words, size_t count,
                    bus_done *done, void *arg)
{
    struct command *command = make(words, count);
    command->done = done;
    command->arg = arg;
    lock_acquire(&commander->lock);
    bool running = commander->running;
    bool full = commander->bytes + command->len > commander->opts.max_bytes;
    bool taken = running && (!full || done != NULL);
    commander->overflowed |= running && !taken;
    if (taken) {
        commander->bytes += command->len;
        list_push_back(&commander->arrived, &command->link);
    }
    lock_release(&commander->lock);
    if (taken)
        return true;
    mem_free(command);
    if (done != NULL)
        done(arg, NULL);
    return false;
}

/* --- the turn --- */

static void send_waiting(struct commander *commander)
{
    struct list_link *link;
    while ((link = list_first(&commander->waiting)) != NULL &&
           redis_link_has_room(&commander->link)) {
        const struct command *command = LIST_ENTRY(link, struct command, link);
        redis_link_append_raw(&commander->link, slice_of(command->bytes, command->len));
        redis_link_ask(&commander->link, 1);
        list_move_back(&commander->in_flight, link);
    }
}

/* Whether commands were dropped, and there is room again. */
static bool take_overflow(struct commander *commander)
{
    lock_acquire(&commander->lock);
    bool over = commander->overflowed && commander->bytes < commander->opts.max_bytes / 2;
    if (over)
        commander->overflowed = false;
    lock_release(&commander->lock);
    return over;
}

void commander_turn(struct commander *commander, bool ready)
{
    bool open = ready && redis_link_is_up(&commander->link);
    bool again = open && take_overflow(commander);
    take_arrived(commander);
    if (again)
        log_warn("redis:commands_dropped", log_uint("max_bytes", commander->opts.max_bytes));
    if (open != commander->open || again)
        commander->opts.on_commands(commander->opts.arg, open);
    commander->open = open;
    if (open)
        send_waiting(commander);
    else
        fail_all(commander, &commander->waiting);
}

bool commander_is_idle(struct commander *commander)
{
    lock_acquire(&commander->lock);
    bool idle = list_is_empty(&commander->arrived);
    lock_release(&commander->lock);
    return idle && list_is_empty(&commander->waiting) && list_is_empty(&commander->in_flight);
}
