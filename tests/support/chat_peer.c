#include "tests/support/chat_peer.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/chat/shard.h"
#include "core/net/conn.h"
#include "tests/support/tcp.h"

/* --- the hub --- */

static void on_message(void *arg, struct client *client, enum ws_opcode opcode,
                       struct slice payload)
{
    struct chat *chat = arg;
    (void)opcode;
    if (chat->on_message != NULL)
        chat->on_message(chat, client, payload);
    else
        chat_publish_for(chat, client, payload);
}

static void on_interest(void *arg)
{
    struct chat *chat = arg;
    atomic_fetch_add(&chat->interest_calls, 1);
}

struct hub_opts chat_opts(unsigned loops)
{
    return (struct hub_opts){
        .loops = loops,
        .max_clients = 1000,
        .queue_messages = 1000,
        .queue_bytes = (size_t)64 << 20,
        .queues_bytes = (size_t)256 << 20,
        .midway_bytes = (size_t)256 << 20,
        .ping_interval_ms = 1000000,
        .pong_timeout_ms = 2000000,
        .message_timeout_ms = 1000000,
        .close_timeout_ms = 1000000,
        .io_uring = true,
        .compress_min_bytes = SIZE_MAX,
        .limits = {.max_message_bytes = 1 << 20, .max_fragments = 1024},
    };
}

static atomic_uint_fast64_t frozen_ms = 1000000;

static uint64_t read_frozen_ms(void)
{
    return atomic_load(&frozen_ms);
}

struct hub_opts chat_opts_frozen(unsigned loops)
{
    struct hub_opts opts = chat_opts(loops);
    opts.clock_ms = read_frozen_ms;
    return opts;
}

/* The hub shows its loops through clients only: one after the other is admitted to each. */
static void find_loops(struct chat *chat)
{
    for (unsigned i = 0; i < chat->loops_count; i++) {
        struct client *client;
        CU_ASSERT_EQUAL_FATAL(
            hub_admit(chat->hub, &(struct hub_admission){.deflate = &(struct deflate_params){0}},
                      &client),
            ERR_OK);
        struct shard *shard = client_shard(client);
        CU_ASSERT_EQUAL(shard->index, i);
        chat->loops[i] = shard->loop;
        client_abandon(client);
    }
    CU_ASSERT_TRUE(chat_await_empty(chat));
}

void chat_start(struct chat *chat, const struct hub_opts *opts)
{
    struct hub_opts own = *opts;
    log_open(LOG_ERROR);
    own.arg = chat;
    own.on_message = on_message;
    if (own.on_interest == NULL)
        own.on_interest = on_interest;
    *chat = (struct chat){.loops_count = opts->loops};
    compressor_init(&chat->compressor);
    CU_ASSERT_EQUAL_FATAL(hub_create(&own, &chat->hub), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(hub_start(chat->hub), ERR_OK);
    find_loops(chat);
}

void chat_stop(struct chat *chat)
{
    hub_stop(chat->hub);
    hub_destroy(chat->hub);
    compressor_fini(&chat->compressor);
    log_open(LOG_INFO);
}

struct call {
    struct loop_task task;
    void (*run)(void *arg);
    void *arg;
    sem_t done;
};

static void run_call(struct loop_task *task, struct loop *loop)
{
    struct call *call = (struct call *)task;
    (void)loop;
    if (call->run != NULL)
        call->run(call->arg);
    sem_post(&call->done);
}

static void wait_for(sem_t *semaphore)
{
    struct timespec until;
    int result;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CHAT_WAIT_MS / 1000;
    do
        result = sem_timedwait(semaphore, &until);
    while (result == -1 && errno == EINTR);
    CU_ASSERT_EQUAL_FATAL(result, 0);
}

void chat_run_on(struct chat *chat, unsigned loop, void (*run)(void *arg), void *arg)
{
    struct call call = {.task.run = run_call, .run = run, .arg = arg};
    sem_init(&call.done, 0, 0);
    loop_post(chat->loops[loop], &call.task);
    wait_for(&call.done);
    sem_destroy(&call.done);
}

void chat_settle(struct chat *chat)
{
    /* The second task of a loop runs in a later turn than the first. Twice, because what one loop
     * did may have been posted to another. */
    for (int round = 0; round < 4; round++)
        for (unsigned i = 0; i < chat->loops_count; i++)
            if (chat->loops[i] != NULL)
                chat_run_on(chat, i, NULL, NULL);
}

void chat_skip(uint64_t ms)
{
    atomic_fetch_add(&frozen_ms, ms);
}

void chat_advance(struct chat *chat, uint64_t ms)
{
    chat_skip(ms);
    chat_settle(chat);
}

struct chat_gate {
    struct loop_task task;
    sem_t reached, open;
};

static void run_gate(struct loop_task *task, struct loop *loop)
{
    struct chat_gate *gate = (struct chat_gate *)task;
    (void)loop;
    sem_post(&gate->reached);
    wait_for(&gate->open);
    sem_destroy(&gate->reached);
    sem_destroy(&gate->open);
    mem_free(gate);
}

struct chat_gate *chat_hold_next(struct chat *chat, unsigned loop)
{
    struct chat_gate *gate = mem_zalloc(sizeof *gate);
    gate->task.run = run_gate;
    sem_init(&gate->reached, 0, 0);
    sem_init(&gate->open, 0, 0);
    loop_post(chat->loops[loop], &gate->task);
    return gate;
}

void chat_await_gate(struct chat_gate *gate)
{
    wait_for(&gate->reached);
}

struct chat_gate *chat_hold(struct chat *chat, unsigned loop)
{
    struct chat_gate *gate = chat_hold_next(chat, loop);
    chat_await_gate(gate);
    return gate;
}

void chat_release(struct chat_gate *gate)
{
    sem_post(&gate->open);
}

bool chat_await(struct chat *chat, bool (*is_so)(struct chat *chat, void *arg), void *arg)
{
    uint64_t until_ms = clock_monotonic_ms() + CHAT_WAIT_MS;
    bool so;
    while (!(so = is_so(chat, arg)) && clock_monotonic_ms() < until_ms)
        chat_settle(chat);
    return so;
}

static void look_again(struct loop_task *task, struct loop *loop)
{
    struct chat_watch *watch = LIST_ENTRY(task, struct chat_watch, task);
    int now = atomic_load(watch->counter), more = now - watch->last;
    bool is_over = now >= watch->until;
    watch->last = now;
    watch->turns += more != 0;
    if (more > watch->most_in_a_turn)
        watch->most_in_a_turn = more;
    if (!is_over)
        loop_post(loop, task);
    else
        atomic_store(&watch->is_over, true);
}

void chat_watch_begin(struct chat *chat, unsigned loop, struct chat_watch *watch)
{
    watch->task.run = look_again;
    loop_post(chat->loops[loop], &watch->task);
}

static bool watch_is_over(struct chat *chat, void *arg)
{
    struct chat_watch *watch = arg;
    (void)chat;
    return atomic_load(&watch->is_over);
}

bool chat_watch_await(struct chat *chat, struct chat_watch *watch)
{
    return chat_await(chat, watch_is_over, watch) && watch->last == watch->until;
}

static bool is_empty(struct chat *chat, void *arg)
{
    (void)arg;
    return chat_stats(chat).slots == 0;
}

bool chat_await_empty(struct chat *chat)
{
    return chat_await(chat, is_empty, NULL);
}

struct hub_stats chat_stats(struct chat *chat)
{
    struct hub_stats stats;
    hub_get_stats(chat->hub, &stats);
    return stats;
}

uint64_t chat_count_at(struct chat *chat, size_t offset)
{
    struct hub_stats stats = chat_stats(chat);
    return counter_get((const counter *)((const char *)&stats.counters + offset));
}

static void publish(struct chat *chat, struct room *room, struct slice text,
                    struct compressor *compressor)
{
    struct message *message = message_try_create(WS_TEXT, text, clock_monotonic_ns());
    if (message != NULL)
        hub_publish(chat->hub, room, message, compressor);
    message_release(message);
}

bool chat_publish_bytes(struct chat *chat, const char *name, struct slice text)
{
    struct room *room = name != NULL ? hub_find_room(chat->hub, slice_str(name))
                                     : room_retain(hub_global(chat->hub));
    if (room == NULL)
        return false;
    publish(chat, room, text, &chat->compressor);
    room_release(room);
    return true;
}

void chat_ends_well(struct chat *chat, struct peer *peer)
{
    if (peer != NULL)
        peer_leave(peer);
    CU_ASSERT_TRUE(chat_await_empty(chat));
    struct hub_stats stats = chat_stats(chat);
    CU_ASSERT_EQUAL(stats.connections, 0);
    CU_ASSERT_EQUAL(stats.rooms, 0);
    CU_ASSERT_EQUAL(stats.members, 0);
    chat_stop(chat);
}

bool chat_publish(struct chat *chat, const char *name, const char *text)
{
    return chat_publish_bytes(chat, name, slice_str(text));
}

void chat_publish_for(struct chat *chat, struct client *client, struct slice text)
{
    struct room *room = client_home(client);
    publish(chat, room != NULL ? room : hub_global(chat->hub), text,
            &client_shard(client)->compressor);
}

void chat_reply_between(struct chat *chat, struct client *client, struct slice text)
{
    chat_publish_for(chat, client, text);
    client_reply(client, slice_str("reply"));
    chat_publish_for(chat, client, slice_str("after"));
}

/* --- peers --- */

enum err peer_admit_deflate(struct chat *chat, struct peer *peer, const char *room,
                            const struct deflate_params *deflate)
{
    *peer = (struct peer){.fd = -1};
    struct slice name = room != NULL ? slice_str(room) : SLICE_NONE;
    const struct hub_admission admission = {.room = name, .deflate = deflate};
    return hub_admit(chat->hub, &admission, &peer->client);
}

enum err peer_admit_events(struct chat *chat, struct peer *peer, const char *room)
{
    const struct hub_admission admission = {.room = room != NULL ? slice_str(room) : SLICE_NONE,
                                            .deflate = &(struct deflate_params){0},
                                            .events = true};
    *peer = (struct peer){.fd = -1};
    return hub_admit(chat->hub, &admission, &peer->client);
}

enum err peer_admit(struct chat *chat, struct peer *peer, const char *room)
{
    return peer_admit_deflate(chat, peer, room, &(struct deflate_params){0});
}

void peer_attach(struct peer *peer, struct slice early)
{
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    conn_bound_buffers(fds[1]);
    peer->fd = fds[0];
    client_attach(peer->client, fds[1], early);
}

void peer_attach_tcp(struct peer *peer, struct slice early)
{
    int fd;
    tcp_connect(&fd, &peer->fd, 4096);
    client_attach(peer->client, fd, early);
}

void peer_join(struct chat *chat, struct peer *peer, const char *room)
{
    CU_ASSERT_EQUAL_FATAL(peer_admit(chat, peer, room), ERR_OK);
    peer_attach(peer, SLICE_NONE);
    chat_settle(chat);
}

void peer_leave(struct peer *peer)
{
    if (peer->fd != -1)
        close(peer->fd);
    peer->fd = -1;
    mem_free(peer->in);
    peer->in = NULL;
    peer->len = peer->cap = 0;
}

/* False at the deadline. */
static bool wait_ready(const struct peer *peer, short events)
{
    struct pollfd entry = {.fd = peer->fd, .events = events};
    int result;
    do
        result = poll(&entry, 1, CHAT_WAIT_MS);
    while (result == -1 && errno == EINTR);
    return result == 1;
}

bool peer_send_raw(struct peer *peer, const void *bytes, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t count = wait_ready(peer, POLLOUT)
                            ? send(peer->fd, (const char *)bytes + sent, len - sent, MSG_NOSIGNAL)
                            : -1;
        if (count == -1 && errno != EINTR)
            return false;
        sent += count > 0 ? (size_t)count : 0;
    }
    return true;
}

size_t peer_write_frame(unsigned first_octet, struct slice payload, char *out)
{
    static const char mask[4] = {0x12, 0x34, 0x56, 0x78};
    size_t at = 0;
    out[at++] = (char)first_octet;
    if (payload.len < 126) {
        out[at++] = (char)(0x80 | payload.len);
    } else if (payload.len <= UINT16_MAX) {
        out[at++] = (char)(0x80 | 126);
        out[at++] = (char)(payload.len >> 8);
        out[at++] = (char)payload.len;
    } else {
        out[at++] = (char)(0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            out[at++] = (char)((uint64_t)payload.len >> shift);
    }
    memcpy(out + at, mask, sizeof mask);
    at += sizeof mask;
    for (size_t i = 0; i < payload.len; i++)
        out[at + i] = (char)(payload.ptr[i] ^ mask[i % 4]);
    return at + payload.len;
}

bool peer_send(struct peer *peer, enum ws_opcode opcode, struct slice payload)
{
    char *frame = mem_zalloc(payload.len + 14);
    bool sent = peer_send_raw(peer, frame, peer_write_frame(0x80 | opcode, payload, frame));
    mem_free(frame);
    return sent;
}

bool peer_say(struct peer *peer, const char *text)
{
    return peer_send(peer, WS_TEXT, slice_str(text));
}

bool peer_send_close(struct peer *peer, unsigned code)
{
    char payload[2] = {(char)(code >> 8), (char)code};
    return peer_send(peer, WS_CLOSE, slice_of(payload, code != 0 ? 2 : 0));
}

/* Length of the whole frame at the front of what came, 0 while it is not all there. */
static size_t frame_len(const struct peer *peer, size_t *header_len)
{
    const unsigned char *in = (const unsigned char *)peer->in;
    uint64_t len = 0;
    if (peer->len < 2)
        return 0;
    size_t more = in[1] == 126 ? 2 : in[1] == 127 ? 8 : 0;
    *header_len = 2 + more;
    if (peer->len < *header_len)
        return 0;
    len = more == 0 ? in[1] : 0;
    for (size_t i = 0; i < more; i++)
        len = len << 8 | in[2 + i];
    return peer->len - *header_len >= len ? *header_len + len : 0;
}

/* 0, or what has come in place of more octets. */
static int read_more(struct peer *peer)
{
    if (peer->cap - peer->len < 65536) {
        peer->cap = peer->cap * 2 + 65536;
        peer->in = mem_resize(peer->in, peer->cap, 1);
    }
    if (!wait_ready(peer, POLLIN))
        return PEER_SILENT;
    ssize_t count = recv(peer->fd, peer->in + peer->len, peer->cap - peer->len, 0);
    if (count == -1)
        return errno == EINTR ? 0 : PEER_RESET;
    peer->len += (size_t)count;
    return count == 0 ? PEER_END : 0;
}

/* The payload stays good until the next call: it is moved behind the rest. */
static struct slice take_front(struct peer *peer, size_t header_len, size_t len)
{
    size_t rest = peer->len - len, payload_len = len - header_len;
    if (peer->cap < peer->len + payload_len) {
        peer->cap = peer->len + payload_len;
        peer->in = mem_resize(peer->in, peer->cap, 1);
    }
    memcpy(peer->in + peer->len, peer->in + header_len, payload_len);
    memmove(peer->in, peer->in + len, rest + payload_len);
    peer->len = rest;
    return slice_of(peer->in + rest, payload_len);
}

int peer_receive(struct peer *peer, struct peer_frame *frame)
{
    size_t len, header_len;
    while ((len = frame_len(peer, &header_len)) == 0) {
        int result = read_more(peer);
        if (result != 0)
            return result;
    }
    unsigned first = (unsigned char)peer->in[0];
    *frame = (struct peer_frame){.fin = (first & 0x80) != 0, .compressed = (first & 0x40) != 0};
    frame->payload = take_front(peer, header_len, len);
    if ((first & 0xF) == WS_CLOSE && frame->payload.len >= 2) {
        const unsigned char *code = (const unsigned char *)frame->payload.ptr;
        frame->close_code = (unsigned)code[0] << 8 | code[1];
        frame->payload = slice_skip(frame->payload, 2);
    }
    return (int)(first & 0xF);
}

bool peer_hears(struct peer *peer, const char *text)
{
    struct peer_frame frame;
    return peer_receive(peer, &frame) == WS_TEXT && frame.fin && !frame.compressed &&
           slice_equals_str(frame.payload, text);
}

bool peer_hears_close(struct peer *peer, unsigned code)
{
    struct peer_frame frame;
    return peer_receive(peer, &frame) == WS_CLOSE && frame.fin && frame.close_code == code;
}

bool peer_hears_end(struct peer *peer)
{
    struct peer_frame frame;
    return peer->len == 0 && peer_receive(peer, &frame) == PEER_END;
}

bool peer_hears_nothing(struct peer *peer)
{
    struct pollfd entry = {.fd = peer->fd, .events = POLLIN};
    return peer->len == 0 && poll(&entry, 1, 0) == 0;
}
