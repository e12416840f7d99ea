/*
 * hiredis keeps the buffers and speaks the protocol; when to connect, read, write and give up is
 * decided here. Every end of a connection goes through lose().
 */
#include "core/bus/redis_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/bus/bus.h"

enum {
    /* What hiredis reads at once, and how often in a row before the other link has its turn. */
    READ_BYTES = 16 * 1024,
    READS_PER_EVENT = 32,
    /* A connection that stood so long comes back at once; one that fell at once waits. */
    STEADY_MS = 1000,
};

void redis_link_init(struct redis_link *link, const struct redis_link_opts *opts)
{
    *link = (struct redis_link){.opts = *opts, .state = REDIS_LINK_WAITING};
    backoff_reset(&link->backoff, link->opts.clock_ms());
}

static uint32_t draw_random(void)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = (uint32_t)clock_monotonic_ns();
    return random;
}

static void drop_socket(struct redis_link *link)
{
    lookup_release(link->lookup);
    link->lookup = NULL;
    if (link->context == NULL)
        return;
    if (link->interest != 0)
        epoll_ctl(link->opts.epoll_fd, EPOLL_CTL_DEL, link->context->fd, NULL);
    redisFree(link->context);
    link->context = NULL;
    link->interest = 0;
}

void redis_link_fini(struct redis_link *link)
{
    drop_socket(link);
}

void redis_link_quit(struct redis_link *link)
{
    int done;
    if (link->state == REDIS_LINK_UP && !link->broken) {
        redis_link_append_head(link, 1);
        redis_link_append_str(link, "QUIT");
        /* A courtesy: what the socket does not take at once is not waited for. */
        redisBufferWrite(link->context, &done);
    }
    drop_socket(link);
    link->state = REDIS_LINK_WAITING;
    link->due_ms = UINT64_MAX;
}

bool redis_link_error_is_passing(const char *error)
{
    static const char *const passing[] = {"LOADING", "MASTERDOWN", "READONLY",   "OOM",
                                          "MISCONF", "BUSY",       "NOREPLICAS", "CLUSTERDOWN"};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (strncmp(error, passing[i], strlen(passing[i])) == 0)
            return true;
    return false;
}

/* The one end of a connection or an attempt. `why` may stand in the context. */
static void lose(struct redis_link *link, const char *why, bool refused)
{
    uint64_t now_ms = link->opts.clock_ms();
    bool was_up = link->state == REDIS_LINK_UP;
    bool was_steady = was_up && now_ms - link->up_ms >= STEADY_MS;
    /* The loss of a connection that stood is always told; attempts that fail, now and then. */
    if (log_pause_is_over(&link->log_pause) || was_up)
        log_warn("redis:away", log_str("connection", link->opts.name), log_str("reason", why),
                 log_bool("refused", refused));
    drop_socket(link);
    link->state = REDIS_LINK_WAITING;
    link->owed = 0;
    link->broken = false;
    if (was_steady)
        backoff_reset(&link->backoff, now_ms);
    uint64_t wait_ms = backoff_next_ms(&link->backoff, now_ms, refused, draw_random());
    link->due_ms = now_ms + (was_steady ? wait_ms / 10 : wait_ms);
    if (was_up)
        link->opts.on_down(link->opts.arg);
}

static bool set_interest(struct redis_link *link, uint32_t events)
{
    if (link->interest == events)
        return true;
    struct epoll_event event = {.events = events, .data.ptr = link};
    int what = link->interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(link->opts.epoll_fd, what, link->context->fd, &event) == -1)
        return false;
    link->interest = events;
    return true;
}

static void begin_connection(struct redis_link *link, const char *address, uint64_t now_ms)
{
    const struct redis_url *url = link->opts.url;
    redisContext *context = url->unix_path != NULL ? redisConnectUnixNonBlock(url->unix_path)
                                                   : redisConnectNonBlock(address, url->port);
    link->context = context;
    if (context == NULL || context->err != 0) {
        lose(link, context == NULL ? "out of memory" : context->errstr, false);
        return;
    }
    int flags = fcntl(context->fd, F_GETFD);
    if (flags == -1 || fcntl(context->fd, F_SETFD, flags | FD_CLOEXEC) == -1 ||
        !set_interest(link, EPOLLOUT)) {
        lose(link, strerror(errno), false);
        return;
    }
    link->state = REDIS_LINK_CONNECTING;
    link->due_ms = now_ms + BUS_ANSWER_TIMEOUT_MS;
}

static void begin_attempt(struct redis_link *link, uint64_t now_ms)
{
    const char *host = link->opts.url->host;
    struct in6_addr ignored;
    link->attempts++;
    /* Nothing to look up: a path, or an address as it is. */
    if (host == NULL || inet_pton(AF_INET, host, &ignored) == 1 ||
        inet_pton(AF_INET6, host, &ignored) == 1) {
        begin_connection(link, host, now_ms);
        return;
    }
    link->lookup = lookup_start(host, link->opts.wake_fd);
    if (link->lookup == NULL)
        lose(link, "no thread to look up the host", false);
    else
        link->state = REDIS_LINK_LOOKUP;
}

static void end_lookup(struct redis_link *link, uint64_t now_ms)
{
    const char *address = lookup_get_address(link->lookup, link->attempts - 1);
    if (address == NULL) {
        lose(link, lookup_get_error(link->lookup), false);
        return;
    }
    /* hiredis copies the address. */
    begin_connection(link, address, now_ms);
    lookup_release(link->lookup);
    link->lookup = NULL;
}

/* Redis answers in order, so all goes out at once and the first error tells which one it was. */
static void begin_greeting(struct redis_link *link)
{
    const struct redis_url *url = link->opts.url;
    char db[16];
    if (url->password != NULL) {
        redis_link_append_head(link, url->user != NULL ? 3 : 2);
        redis_link_append_str(link, "AUTH");
        if (url->user != NULL)
            redis_link_append_str(link, url->user);
        redis_link_append_str(link, url->password);
        link->greetings++;
    }
    if (url->db != 0) {
        snprintf(db, sizeof db, "%d", url->db);
        redis_link_append_head(link, 2);
        redis_link_append_str(link, "SELECT");
        redis_link_append_str(link, db);
        link->greetings++;
    }
    redis_link_append_head(link, 1);
    redis_link_append_str(link, "PING");
    link->greetings++;
    redis_link_ask(link, link->greetings);
}

static void end_connecting(struct redis_link *link)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(link->context->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
        error = errno;
    if (error != 0) {
        lose(link, strerror(error), false);
        return;
    }
    link->state = REDIS_LINK_GREETING;
    link->greetings = 0;
    begin_greeting(link);
    redis_link_flush(link);
}

static const char *on_greeting(struct redis_link *link, const struct redisReply *reply)
{
    /* A Redis whose AUTH was renamed repeats the arguments, and this goes into the log. */
    if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "ERR unknown", 11) == 0)
        return "it does not know AUTH, SELECT or PING";
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    if (reply->type != REDIS_REPLY_STATUS)
        return "this is no Redis";
    redis_link_answered(link);
    if (--link->greetings > 0)
        return NULL;
    link->state = REDIS_LINK_UP;
    link->up_ms = link->opts.clock_ms();
    link->attempts = 0;
    link->opts.on_up(link->opts.arg);
    return NULL;
}

/* Handles the replies that are whole by now; false when the connection was lost over one. */
static bool handle_replies(struct redis_link *link)
{
    for (;;) {
        void *found = NULL;
        if (redisGetReplyFromReader(link->context, &found) != REDIS_OK) {
            lose(link, link->context->errstr, true);
            return false;
        }
        struct redisReply *reply = found;
        if (reply == NULL)
            return true;
        bool greeting = link->state == REDIS_LINK_GREETING;
        const char *why =
            greeting ? on_greeting(link, reply) : link->opts.on_reply(link->opts.arg, reply);
        if (why != NULL)
            lose(link, why,
                 reply->type != REDIS_REPLY_ERROR || !redis_link_error_is_passing(reply->str));
        freeReplyObject(reply);
        if (why != NULL)
            return false;
    }
}

static void read_replies(struct redis_link *link)
{
    for (int i = 0; i < READS_PER_EVENT; i++) {
        size_t before = link->context->reader->len;
        if (redisBufferRead(link->context) != REDIS_OK) {
            lose(link, link->context->errstr, false);
            return;
        }
        size_t got = link->context->reader->len - before;
        if (got == 0)
            return;
        link->progress_ms = link->opts.clock_ms();
        if (link->context->reader->len > REDIS_LINK_REPLY_MAX) {
            lose(link, "a reply is too large", true);
            return;
        }
        if (!handle_replies(link) || got < READ_BYTES)
            return;
    }
}

void redis_link_on_event(struct redis_link *link, uint32_t events)
{
    if (link->context == NULL)
        return;
    if (link->state == REDIS_LINK_CONNECTING) {
        end_connecting(link);
        return;
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        read_replies(link);
    if (link->context != NULL && events & EPOLLOUT)
        redis_link_flush(link);
}

void redis_link_flush(struct redis_link *link)
{
    int done = 1;
    if (link->state < REDIS_LINK_GREETING)
        return;
    if (link->broken) {
        lose(link, "out of memory", false);
        return;
    }
    if (sdslen(link->context->obuf) > 0 && redisBufferWrite(link->context, &done) != REDIS_OK) {
        lose(link, link->context->errstr, false);
        return;
    }
    if (!set_interest(link, done ? EPOLLIN : EPOLLIN | EPOLLOUT))
        lose(link, strerror(errno), false);
}

void redis_link_tick(struct redis_link *link, uint64_t now_ms)
{
    switch (link->state) {
    case REDIS_LINK_WAITING:
        if (now_ms >= link->due_ms)
            begin_attempt(link, now_ms);
        break;
    case REDIS_LINK_LOOKUP:
        if (lookup_is_done(link->lookup))
            end_lookup(link, now_ms);
        break;
    case REDIS_LINK_CONNECTING:
        if (now_ms >= link->due_ms)
            lose(link, "no connection in time", false);
        break;
    case REDIS_LINK_GREETING:
    case REDIS_LINK_UP:
        if (link->owed > 0 && now_ms >= link->progress_ms + BUS_ANSWER_TIMEOUT_MS)
            lose(link, "no answer in time", false);
        break;
    }
}

uint64_t redis_link_next_ms(const struct redis_link *link)
{
    switch (link->state) {
    case REDIS_LINK_WAITING:
    case REDIS_LINK_CONNECTING:
        return link->due_ms;
    case REDIS_LINK_LOOKUP:
        return UINT64_MAX;
    case REDIS_LINK_GREETING:
    case REDIS_LINK_UP:
        break;
    }
    return link->owed > 0 ? link->progress_ms + BUS_ANSWER_TIMEOUT_MS : UINT64_MAX;
}

size_t redis_link_get_room(const struct redis_link *link)
{
    if (link->state != REDIS_LINK_UP || link->broken)
        return 0;
    size_t unsent = sdslen(link->context->obuf);
    return unsent < REDIS_LINK_UNSENT_MAX ? REDIS_LINK_UNSENT_MAX - unsent : 0;
}

bool redis_link_has_room(const struct redis_link *link)
{
    return redis_link_get_room(link) > 0;
}

/* hiredis' "formatted command" is any bytes; a command may be handed over in pieces. */
static void append(struct redis_link *link, const char *bytes, size_t len)
{
    if (redisAppendFormattedCommand(link->context, bytes, len) != REDIS_OK)
        link->broken = true;
}

/* A type octet, a number, CRLF. Written out because snprintf is most of what a PUBLISH costs. */
static void append_count(struct redis_link *link, char type, size_t number)
{
    char text[24];
    size_t at = sizeof text;
    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    text[--at] = type;
    append(link, text + at, sizeof text - at);
}

void redis_link_append_head(struct redis_link *link, size_t words)
{
    append_count(link, '*', words);
}

void redis_link_append_word(struct redis_link *link, const struct slice *pieces, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += pieces[i].len;
    append_count(link, '$', len);
    for (size_t i = 0; i < count; i++)
        append(link, pieces[i].ptr, pieces[i].len);
    append(link, "\r\n", 2);
}

void redis_link_append_str(struct redis_link *link, const char *word)
{
    struct slice piece = slice_str(word);
    redis_link_append_word(link, &piece, 1);
}

void redis_link_append_raw(struct redis_link *link, struct slice commands)
{
    append(link, commands.ptr, commands.len);
}

void redis_link_ask(struct redis_link *link, size_t replies)
{
    if (link->owed == 0)
        link->progress_ms = link->opts.clock_ms();
    link->owed += replies;
}

void redis_link_answered(struct redis_link *link)
{
    if (link->owed > 0)
        link->owed--;
}
