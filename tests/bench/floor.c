/*
 * The floor: what the kernel alone takes for a fan-out. A server that does nothing but epoll, recv
 * and, at the end of a turn, one send to each member of what its room got in it, from one shared
 * buffer. It answers an upgrade with what the generator wants to see and echoes text as it comes:
 * no masks but zero, no JSON, no checks, no queues, no timers, no statistics. What a server costs
 * above it, in the same run, is its own.
 *
 *     floor PORT      on 127.0.0.1; ends with SIGTERM, or after an hour
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FDS_MAX = 120000,
    ROOMS_MAX = 120000,
    EVENTS = 256, /* these three as in core/net */
    READ_BYTES = 16 * 1024,
    SEND_BUFFER = 64 * 1024,
    BATCH_MAX = 256 * 1024, /* full: sent at once */
    IN_MAX = 128 * 1024,    /* a message that came in part, and what one read adds */
    LIFE_SECONDS = 3600,
    MASK_LEN = 4,
    FRAME_HEADER = 4,
};

struct room {
    int *members; /* descriptors */
    unsigned count, cap;
    unsigned len; /* of what the turn brought */
    char *batch;
};

struct client {
    struct room *room; /* NULL before the upgrade */
    unsigned index;    /* its place there */
    unsigned in_len;
    char *in;
};

static struct client clients[FDS_MAX];
static struct room rooms[ROOMS_MAX];
static struct room *dirty[ROOMS_MAX];
static unsigned dirty_count;

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void *must_resize(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (memory == NULL)
        fail("floor");
    return memory;
}

static void leave(int fd)
{
    struct client *client = &clients[fd];
    struct room *room = client->room;
    if (room != NULL) {
        room->members[client->index] = room->members[--room->count];
        clients[room->members[client->index]].index = client->index;
    }
    free(client->in);
    *client = (struct client){.room = NULL};
    close(fd);
}

/* The generator reads all the time, so waiting for it ends. */
static void send_all(int fd, const char *bytes, size_t len)
{
    while (len != 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent == -1 && errno != EAGAIN)
            return; /* gone: its event tells */
        if (sent == -1)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000);
        bytes += sent > 0 ? sent : 0;
        len -= (size_t)(sent > 0 ? sent : 0);
    }
}

static void flush(struct room *room)
{
    for (unsigned i = 0; i < room->count; i++)
        send_all(room->members[i], room->batch, room->len);
    room->len = 0;
    free(room->batch); /* as with the service, a quiet room has none */
    room->batch = NULL;
}

static void flush_dirty(void)
{
    for (unsigned i = 0; i < dirty_count; i++)
        flush(dirty[i]);
    dirty_count = 0;
}

static void publish(struct room *room, const char *text, size_t len)
{
    if (room->len + FRAME_HEADER + len > BATCH_MAX)
        flush_dirty();
    if (room->batch == NULL) {
        room->batch = must_resize(NULL, BATCH_MAX);
        dirty[dirty_count++] = room;
    }
    char *at = room->batch + room->len;
    *at++ = (char)0x81;
    if (len > 125) {
        *at++ = 126;
        *at++ = (char)(len >> 8);
    }
    *at++ = (char)len;
    memcpy(at, text, len);
    room->len = (unsigned)(at + len - room->batch);
}

/* Returns the bytes used: 0 for an incomplete frame. The generator masks with zeros. */
static size_t take_frame(struct room *room, const char *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (size < 2)
        return 0;
    size_t len = at[1] & 0x7f, head = 2 + MASK_LEN;
    if (len == 126 && size >= 4) {
        len = (size_t)at[2] << 8 | at[3];
        head = 4 + MASK_LEN;
    }
    if (size < head + len)
        return 0;
    if ((at[0] & 0x0f) == 1)
        publish(room, bytes + head, len);
    return head + len;
}

static size_t upgrade(int fd, const char *bytes, size_t size)
{
    static const char answer[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    const char *end = memmem(bytes, size, "\r\n\r\n", 4);
    const char *name = memmem(bytes, size, "/bench-", 7);
    if (end == NULL)
        return 0;
    struct room *room = &rooms[name != NULL ? strtoul(name + 7, NULL, 10) % ROOMS_MAX : 0];
    if (room->count == room->cap) {
        room->cap = room->cap != 0 ? room->cap * 2 : 2;
        room->members = must_resize(room->members, room->cap * sizeof *room->members);
    }
    clients[fd].room = room;
    clients[fd].index = room->count;
    room->members[room->count++] = fd;
    send_all(fd, answer, sizeof answer - 1);
    return (size_t)(end - bytes) + 4;
}

static void keep(struct client *client, const char *bytes, size_t len)
{
    if (len > IN_MAX - READ_BYTES) {
        fprintf(stderr, "floor: messages up to %d bytes only\n", IN_MAX - READ_BYTES);
        exit(1);
    }
    if (len == 0) {
        free(client->in);
        client->in = NULL;
    } else {
        client->in = must_resize(client->in, len);
        memcpy(client->in, bytes, len);
    }
    client->in_len = (unsigned)len;
}

static void on_readable(int fd)
{
    static char buffer[IN_MAX];
    struct client *client = &clients[fd];
    size_t len = client->in_len, used = 0, step;
    if (len != 0)
        memcpy(buffer, client->in, len);
    ssize_t got = recv(fd, buffer + len, READ_BYTES, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            leave(fd);
        return;
    }
    len += (size_t)got;
    if (client->room == NULL)
        used = upgrade(fd, buffer, len);
    while (client->room != NULL && (step = take_frame(client->room, buffer + used, len - used)))
        used += step;
    keep(client, buffer + used, len - used);
}

static void on_connect(int epoll_fd, int listener)
{
    int one = 1, size = SEND_BUFFER, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= FDS_MAX) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == -1)
            fail("floor: epoll_ctl");
    }
}

static int listen_on_loopback(int epoll_fd, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((in_port_t)strtoul(port, NULL, 10))};
    socklen_t size = sizeof address;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == -1 ||
        bind(fd, (struct sockaddr *)&address, size) == -1 || listen(fd, 4096) == -1 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == -1)
        fail("floor: listen");
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct rlimit limit;
    if (argc != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        fail("floor: getrlimit");
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on_loopback(epoll_fd, argv[1]);
    alarm(LIFE_SECONDS);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                on_connect(epoll_fd, listener);
            else
                on_readable(events[i].data.fd);
        }
        flush_dirty();
    }
}
