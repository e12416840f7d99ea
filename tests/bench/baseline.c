/*
 * The kernel's own cost of a fan-out: a server that does nothing but epoll, recv and one send for
 * each member and turn. It answers an upgrade with what fanout.c wants to see, takes every message
 * for one of "bench" rooms, and sends back as many bytes as chat-api would: no JSON, no checks, no
 * queues, no timers, no statistics. What chat-api costs above it, in the same run, is ours.
 *
 *     baseline single|gather      prints its port; ends with SIGTERM, or after ten minutes
 *
 * single: one send for each message and member. gather: one for all that a turn brought a room,
 * which is what chat-api does.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FDS_MAX = 20000,
    ROOMS_MAX = 1000,
    EVENTS = 256, /* these three as in core/net */
    READ_BYTES = 16 * 1024,
    SEND_BUFFER = 64 * 1024,
    BATCH_MAX = 64 * 1024,
    IN_MAX = 8 * 1024, /* a message that came in part */
    LIFE_SECONDS = 600,
    MASK_LEN = 4,
};

/* As long as what chat-api puts around a message's data. */
#define ID "01234567-89ab-7def-8123-456789abcdef"
static const char before[] =
    "{\"id\":\"" ID "\",\"type\":\"chat\",\"room\":\"bench-1\",\"from\":\"" ID "\",\"data\":";
static const char behind[] = ",\"timestamp\":\"2026-01-01T00:00:00.000Z\"}";

struct client {
    bool open;
    unsigned room, index; /* its place in the room */
    unsigned in_len;
    char in[IN_MAX];
};

struct room {
    int *members; /* descriptors */
    unsigned count, cap;
    unsigned len; /* of what the turn brought */
    char *batch;
};

static struct client *clients[FDS_MAX];
static struct room rooms[ROOMS_MAX];
static unsigned rooms_used;
static bool gather;

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void *must_resize(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (memory == NULL)
        fail("baseline");
    return memory;
}

static void leave(int fd)
{
    struct client *client = clients[fd];
    if (client->open) {
        struct room *room = &rooms[client->room];
        room->members[client->index] = room->members[--room->count];
        clients[room->members[client->index]]->index = client->index;
    }
    free(client);
    clients[fd] = NULL;
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
    for (unsigned i = 0; i < room->count && room->len != 0; i++)
        send_all(room->members[i], room->batch, room->len);
    room->len = 0;
}

static void append(struct room *room, const char *bytes, size_t len)
{
    memcpy(room->batch + room->len, bytes, len);
    room->len += (unsigned)len;
}

/* `data` is the JSON behind {"data": */
static void publish(struct room *room, const char *data, size_t data_len)
{
    size_t len = sizeof before - 1 + data_len + sizeof behind - 1;
    /* Never under 126: what stands around the data is longer. */
    const char header[4] = {(char)0x81, 126, (char)(len >> 8), (char)len};
    if (room->len + sizeof header + len > BATCH_MAX)
        flush(room);
    append(room, header, sizeof header);
    append(room, before, sizeof before - 1);
    append(room, data, data_len);
    append(room, behind, sizeof behind - 1);
    if (!gather)
        flush(room);
}

/* Returns the bytes used: 0 for an incomplete frame. The generator masks with zeros. */
static size_t take_frame(struct room *room, const char *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    static const char key[] = "{\"data\":";
    if (size < 2)
        return 0;
    size_t len = at[1] & 0x7f, head = 2 + MASK_LEN;
    if (len == 126 && size >= 4) {
        len = (size_t)at[2] << 8 | at[3];
        head = 4 + MASK_LEN;
    }
    if (size < head + len)
        return 0;
    if ((at[0] & 0x0f) == 1 && len > sizeof key)
        publish(room, bytes + head + sizeof key - 1, len - sizeof key);
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
    struct client *client = clients[fd];
    client->open = true;
    client->room = name != NULL ? (unsigned)strtoul(name + 7, NULL, 10) % (ROOMS_MAX - 1) + 1 : 0;
    if (client->room >= rooms_used)
        rooms_used = client->room + 1;
    struct room *room = &rooms[client->room];
    if (room->batch == NULL)
        room->batch = must_resize(NULL, BATCH_MAX);
    if (room->count == room->cap) {
        room->cap = room->cap != 0 ? room->cap * 2 : 4;
        room->members = must_resize(room->members, room->cap * sizeof *room->members);
    }
    client->index = room->count;
    room->members[room->count++] = fd;
    send_all(fd, answer, sizeof answer - 1);
    return (size_t)(end - bytes) + 4;
}

static void on_readable(int fd)
{
    static char buffer[IN_MAX + READ_BYTES];
    struct client *client = clients[fd];
    size_t len = client->in_len, used = 0, step;
    memcpy(buffer, client->in, len);
    ssize_t got = recv(fd, buffer + len, READ_BYTES, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            leave(fd);
        return;
    }
    len += (size_t)got;
    if (!client->open)
        used = upgrade(fd, buffer, len);
    while (client->open && (step = take_frame(&rooms[client->room], buffer + used, len - used)))
        used += step;
    if (len - used > IN_MAX) {
        fprintf(stderr, "baseline: messages up to %d bytes only\n", IN_MAX);
        exit(1);
    }
    client->in_len = (unsigned)(len - used);
    memcpy(client->in, buffer + used, client->in_len);
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
        clients[fd] = calloc(1, sizeof *clients[fd]);
        if (clients[fd] == NULL)
            fail("baseline");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == -1)
            fail("baseline: epoll_ctl");
    }
}

static int listen_on_loopback(int epoll_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd == -1 || bind(fd, (struct sockaddr *)&address, size) == -1 || listen(fd, 4096) == -1 ||
        getsockname(fd, (struct sockaddr *)&address, &size) == -1 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == -1)
        fail("baseline: listen");
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    if (argc != 2 || (strcmp(argv[1], "single") != 0 && strcmp(argv[1], "gather") != 0)) {
        fprintf(stderr, "usage: baseline single|gather\n");
        return 2;
    }
    gather = strcmp(argv[1], "gather") == 0;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on_loopback(epoll_fd);
    alarm(LIFE_SECONDS);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                on_connect(epoll_fd, listener);
            else if (clients[events[i].data.fd] != NULL)
                on_readable(events[i].data.fd);
        }
        for (unsigned i = 0; i < rooms_used; i++)
            flush(&rooms[i]);
    }
}
