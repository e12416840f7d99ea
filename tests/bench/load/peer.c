#include "tests/bench/load/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h> /* its tcp_info has more than netinet/tcp.h's */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/load/meter.h"
#include "tests/bench/load/must.h"

enum {
    EVENTS = 256,
    SOURCES = 200, /* addresses to connect from */
    OP_CONTINUATION = 0,
    OP_TEXT = 1,
    OP_CLOSE = 8,
    OP_PING = 9,
    OP_PONG = 10,
    FIN = 0x80,
    RSV1 = 0x40,
    MASKED = 0x80,
    CONTROL_MAX = 125,
    CLIENT_HEADER_MAX = 8, /* of up to 64 kB: 2, length 2, mask 4 */
    HEAD_MAX = 4096,       /* of the answer to the upgrade */
    SLOW_RECEIVE_BUFFER = 16 * 1024,
};

struct peers *peers_create(const struct options *options, const struct peers_handlers *handlers,
                           void *arg)
{
    struct peers *peers = must_allocate(1, sizeof *peers);
    peers->options = options;
    peers->handlers = *handlers;
    peers->arg = arg;
    peers->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (peers->epoll_fd == -1)
        give_up_errno("epoll_create1");
    return peers;
}

void peers_destroy(struct peers *peers)
{
    close(peers->epoll_fd);
    free(peers);
}

/* --- beginning and end --- */

static void watch(struct peers *peers, struct peer *peer, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = peer};
    if (epoll_ctl(peers->epoll_fd, op, peer->fd, &event) == -1)
        give_up_errno("epoll_ctl");
}

bool peer_connect(struct peers *peers, struct peer *peer)
{
    struct sockaddr_in source = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(0x7f000002U + peer->number % SOURCES)};
    const struct options *options = peers->options;
    /* A room's members are spread over the servers, and so are the first members of all rooms. */
    uint32_t turn = peer->number % options->members + peer->room;
    const struct sockaddr_in *to = &options->addresses[turn % options->addresses_count];
    int one = 1, small = SLOW_RECEIVE_BUFFER;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer->fd == -1)
        return false;
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (peer->role == PEER_SLOW)
        setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    /* The port is chosen at the connect: then only the whole address must be free. */
    setsockopt(peer->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(peer->fd, (struct sockaddr *)&source, sizeof source) == -1 ||
        (connect(peer->fd, (const struct sockaddr *)to, sizeof *to) == -1 &&
         errno != EINPROGRESS)) {
        peer_close(peer);
        return false;
    }
    peer->state = PEER_CONNECTING;
    watch(peers, peer, EPOLL_CTL_ADD, EPOLLOUT);
    return true;
}

void peer_close(struct peer *peer)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    peer->state = PEER_GONE;
    if (peer->fd == -1)
        return;
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(peer->fd);
    peer->fd = -1;
    free(peer->in);
    free(peer->text);
    free(peer->out);
    peer->in = peer->text = peer->out = NULL;
    peer->in_len = peer->text_len = peer->out_len = peer->out_cap = 0;
    peer->wants_write = peer->paused = false;
}

uint64_t peer_segments_in(const struct peer *peer)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (peer->fd == -1 || getsockopt(peer->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == -1)
        return 0;
    return info.tcpi_data_segs_in;
}

static void lose(struct peers *peers, struct peer *peer, unsigned code)
{
    bool was_open = peer->state == PEER_OPEN;
    peer_close(peer);
    if (was_open)
        peers->handlers.on_gone(peers->arg, peer, code);
    else
        peers->handlers.on_refused(peers->arg, peer);
}

/* --- out --- */

static bool add(struct peer *peer, const void *bytes, size_t len)
{
    if (peer->out_len + len > PEER_OUT_MAX)
        return false;
    if (peer->out_len + len > peer->out_cap) {
        peer->out_cap = (uint32_t)(peer->out_len + len) * 2;
        peer->out = must_resize(peer->out, peer->out_cap);
    }
    memcpy(peer->out + peer->out_len, bytes, len);
    peer->out_len += (uint32_t)len;
    return true;
}

/* Masked with zeros: no work for us, the same work for the server. */
static bool add_frame(struct peer *peer, unsigned opcode, const void *payload, size_t len)
{
    unsigned char header[CLIENT_HEADER_MAX] = {(unsigned char)(FIN | opcode)};
    size_t header_len = 2;
    if (peer->out_len + len + sizeof header > PEER_OUT_MAX)
        return false;
    header[1] = (unsigned char)(MASKED | (len <= CONTROL_MAX ? len : 126));
    if (len > CONTROL_MAX) {
        header[2] = (unsigned char)(len >> 8);
        header[3] = (unsigned char)len;
        header_len = 4;
    }
    return add(peer, header, header_len + 4) && add(peer, payload, len);
}

bool peer_add_text(struct peer *peer, const char *text, size_t len)
{
    return add_frame(peer, OP_TEXT, text, len);
}

static void want(struct peers *peers, struct peer *peer, bool write, bool paused)
{
    uint32_t events = (write ? EPOLLOUT : 0U) | (paused ? 0U : EPOLLIN);
    if (peer->wants_write != write || peer->paused != paused)
        watch(peers, peer, EPOLL_CTL_MOD, events);
    peer->wants_write = write;
    peer->paused = paused;
}

void peer_pause(struct peers *peers, struct peer *peer, bool paused)
{
    if (peer->state == PEER_OPEN)
        want(peers, peer, peer->wants_write, paused);
}

void peer_flush(struct peers *peers, struct peer *peer)
{
    if (peer->state == PEER_GONE || peer->out_len == 0)
        return;
    ssize_t sent = send(peer->fd, peer->out, peer->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == -1 && errno != EAGAIN && errno != EINTR) {
        lose(peers, peer, 0);
        return;
    }
    if (sent > 0) {
        peer->out_len -= (uint32_t)sent;
        memmove(peer->out, peer->out + sent, peer->out_len);
    }
    want(peers, peer, peer->out_len != 0, peer->paused);
}

static void send_request(struct peers *peers, struct peer *peer)
{
    const struct options *options = peers->options;
    char request[512];
    /* All names of rooms have one length: so have all messages. */
    int len = snprintf(request, sizeof request,
                       "GET %s%06u HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                       options->flavour->path, options->first_room + peer->room,
                       peer->deflate ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
    peer->state = PEER_UPGRADING;
    peer->wants_write = true;
    if (add(peer, request, (size_t)len))
        peer_flush(peers, peer);
}

/* --- in --- */

struct frame {
    unsigned first; /* byte: FIN, RSV1, opcode */
    size_t header_len, len;
    const char *payload;
};

/* False when the bytes do not hold a whole frame. */
static bool parse(const char *bytes, size_t size, struct frame *frame)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (size < 2)
        return false;
    frame->first = at[0];
    frame->len = at[1] & 0x7f;
    frame->header_len = 2;
    unsigned more = frame->len == 126 ? 2 : frame->len == 127 ? 8 : 0;
    if (size < 2 + more)
        return false;
    if (more != 0)
        frame->len = 0;
    for (unsigned i = 0; i < more; i++)
        frame->len = frame->len << 8 | at[2 + i];
    frame->header_len += more;
    frame->payload = bytes + frame->header_len;
    return size - frame->header_len >= frame->len;
}

static void open_up(struct peers *peers, struct peer *peer)
{
    peer->state = PEER_OPEN;
    peers->handlers.on_open(peers->arg, peer);
}

static void hand_over(struct peers *peers, struct peer *peer, const char *text, size_t len)
{
    const struct flavour *flavour = peers->options->flavour;
    const char *end = text + len;
    while (flavour->lines && text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        if (line_end == NULL)
            break;
        peers->handlers.on_text(peers->arg, peer, text, (size_t)(line_end - text), false);
        text = line_end + 1;
    }
    peers->handlers.on_text(peers->arg, peer, text, (size_t)(end - text), false);
}

static void take_text(struct peers *peers, struct peer *peer, const char *text, size_t len,
                      bool compressed)
{
    const char *answer = NULL;
    enum heard heard = HEARD_MESSAGE;
    if (compressed) {
        peers->handlers.on_text(peers->arg, peer, text, len, true);
        return;
    }
    if (peers->options->flavour->socketio)
        heard = flavour_hear(text, len, &answer);
    if (heard == HEARD_MESSAGE && peer->state == PEER_OPEN) {
        hand_over(peers, peer, text, len);
    } else if (heard == HEARD_OPEN && peer->state == PEER_GREETING) {
        open_up(peers, peer);
    } else if (heard == HEARD_ANSWER) {
        if (peer_add_text(peer, answer, strlen(answer)))
            peer_flush(peers, peer);
    }
}

/* Some libraries send what is longer than their buffer in several frames. */
static void take_fragment(struct peers *peers, struct peer *peer, const struct frame *frame)
{
    if ((frame->first & 0x0f) == OP_TEXT)
        peer->text_compressed = (frame->first & RSV1) != 0;
    peer->text = must_resize(peer->text, peer->text_len + frame->len + 1);
    memcpy(peer->text + peer->text_len, frame->payload, frame->len);
    peer->text_len += (uint32_t)frame->len;
    if ((frame->first & FIN) == 0)
        return;
    char *text = peer->text;
    size_t len = peer->text_len;
    peer->text = NULL;
    peer->text_len = 0;
    take_text(peers, peer, text, len, peer->text_compressed);
    free(text);
}

static void take(struct peers *peers, struct peer *peer, const struct frame *frame)
{
    unsigned opcode = frame->first & 0x0f;
    if (opcode == OP_TEXT && (frame->first & FIN) != 0) {
        take_text(peers, peer, frame->payload, frame->len, (frame->first & RSV1) != 0);
    } else if (opcode == OP_TEXT || opcode == OP_CONTINUATION) {
        take_fragment(peers, peer, frame);
    } else if (opcode == OP_PING) {
        if (add_frame(peer, OP_PONG, frame->payload, frame->len))
            peer_flush(peers, peer);
    } else if (opcode == OP_CLOSE) {
        const unsigned char *code = (const unsigned char *)frame->payload;
        lose(peers, peer, frame->len >= 2 ? (unsigned)code[0] << 8 | code[1] : 1005);
    }
}

static bool is_upgraded(const struct peer *peer)
{
    return peer->state == PEER_OPEN || peer->state == PEER_GREETING;
}

/* Returns how many bytes were used. */
static size_t take_frames(struct peers *peers, struct peer *peer, const char *bytes, size_t size)
{
    struct frame frame;
    size_t used = 0;
    while (is_upgraded(peer) && parse(bytes + used, size - used, &frame)) {
        take(peers, peer, &frame);
        used += frame.header_len + frame.len;
    }
    return used;
}

static size_t take_answer(struct peers *peers, struct peer *peer, const char *bytes, size_t size)
{
    static const char good[] = "HTTP/1.1 101 ";
    const char *end = memmem(bytes, size, "\r\n\r\n", 4);
    if (end == NULL && size < HEAD_MAX)
        return 0;
    if (end == NULL || memcmp(bytes, good, sizeof good - 1) != 0) {
        lose(peers, peer, 0);
        return 0;
    }
    if (peers->options->flavour->socketio)
        peer->state = PEER_GREETING;
    else
        open_up(peers, peer);
    return (size_t)(end - bytes) + 4;
}

static void keep(struct peer *peer, const char *bytes, size_t len)
{
    if (len == 0) {
        free(peer->in);
        peer->in = NULL;
    } else {
        peer->in = must_resize(peer->in, len);
        memcpy(peer->in, bytes, len);
    }
    peer->in_len = (uint32_t)len;
}

static void read_some(struct peers *peers, struct peer *peer)
{
    char *buffer = peers->buffer;
    size_t len = peer->in_len, used = 0;
    if (len != 0)
        memcpy(buffer, peer->in, len);
    ssize_t got = recv(peer->fd, buffer + len, sizeof peers->buffer - len, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            lose(peers, peer, 0);
        return;
    }
    peers->read_ns = now_ns();
    peers->bytes_read += (uint64_t)got;
    len += (size_t)got;
    if (peer->state == PEER_UPGRADING)
        used = take_answer(peers, peer, buffer, len);
    if (is_upgraded(peer))
        used += take_frames(peers, peer, buffer + used, len - used);
    if (is_upgraded(peer) || peer->state == PEER_UPGRADING)
        keep(peer, buffer + used, len - used);
}

static void on_events(struct peers *peers, struct peer *peer, uint32_t events)
{
    if (peer->fd == -1)
        return;
    if (peer->state == PEER_CONNECTING) {
        if ((events & (EPOLLERR | EPOLLHUP)) != 0)
            lose(peers, peer, 0);
        else
            send_request(peers, peer);
        return;
    }
    if ((events & EPOLLOUT) != 0)
        peer_flush(peers, peer);
    if (peer->fd != -1 && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
        read_some(peers, peer);
}

void peers_turn(struct peers *peers, uint64_t until_ns)
{
    struct epoll_event events[EVENTS];
    uint64_t now = now_ns(), wait = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000),
                               .tv_nsec = (long)(wait % 1000000000)};
    int count = epoll_pwait2(peers->epoll_fd, events, EVENTS, &timeout, NULL);
    for (int i = 0; i < count; i++)
        on_events(peers, events[i].data.ptr, events[i].events);
}
