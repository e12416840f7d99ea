#include "core/net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

void conn_bound_buffers(int fd)
{
    int send = CONN_SEND_BUFFER, receive = CONN_RECEIVE_BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof send);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
}

enum err conn_open(struct conn *conn, struct loop *loop, int fd)
{
    int one = 1;
    conn->source = (struct loop_source){.fd = fd};
    /* Not worth losing a client over: a socket of another kind (a test's) has no such thing. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (loop_add(loop, &conn->source, EPOLLIN) == ERR_OK)
        return ERR_OK;
    close(fd);
    conn->source.fd = -1;
    return ERR_SYSTEM;
}

/*
 * The C library's send and recv are points at which a thread may be cancelled, which costs two
 * locked operations and some sixty instructions each time. No thread is ever cancelled here. But
 * ThreadSanitizer sees by the C library's alone what comes before what.
 */
static ssize_t take_in(int fd, void *bytes, size_t size)
{
#ifdef __SANITIZE_THREAD__
    return recv(fd, bytes, size, MSG_DONTWAIT);
#else
    return syscall(SYS_recvfrom, fd, bytes, size, MSG_DONTWAIT, NULL, NULL);
#endif
}

static ssize_t put_out(int fd, const void *bytes, size_t len)
{
#ifdef __SANITIZE_THREAD__
    return send(fd, bytes, len, CONN_SEND_FLAGS);
#else
    return syscall(SYS_sendto, fd, bytes, len, CONN_SEND_FLAGS, NULL, 0);
#endif
}

enum err conn_read(struct conn *conn, void *bytes, size_t size, size_t *got)
{
    for (;;) {
        ssize_t count = take_in(conn->source.fd, bytes, size);
        if (count > 0) {
            *got = (size_t)count;
            return ERR_OK;
        }
        if (count == 0)
            return ERR_CLOSED;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return ERR_AGAIN;
        if (errno != EINTR)
            return ERR_SYSTEM;
    }
}

enum err conn_judge_write(long result, size_t *sent)
{
    *sent = result >= 0 ? (size_t)result : 0;
    bool is_full = result == -EAGAIN || result == -EWOULDBLOCK || result == -ENOBUFS;
    /* What interrupted it is over; who is told that the socket is full comes back. */
    return result >= 0 || is_full || result == -EINTR ? ERR_OK : ERR_SYSTEM;
}

static enum err written(ssize_t count, size_t *sent)
{
    if (count < 0)
        return conn_judge_write(-errno, sent);
    *sent = (size_t)count;
    return ERR_OK;
}

enum err conn_write(struct conn *conn, const void *bytes, size_t len, size_t *sent)
{
    ssize_t count;
    do
        count = put_out(conn->source.fd, bytes, len);
    while (count == -1 && errno == EINTR);
    return written(count, sent);
}

enum err conn_write_gathered(struct conn *conn, const struct iovec *parts, int count, size_t *sent)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    ssize_t result;
    do
        result = sendmsg(conn->source.fd, &message, CONN_SEND_FLAGS);
    while (result == -1 && errno == EINTR);
    return written(result, sent);
}

void conn_want_read(struct conn *conn, struct loop *loop, bool wanted)
{
    uint32_t rest = conn->source.interest & ~(uint32_t)EPOLLIN;
    loop_set_interest(loop, &conn->source, wanted ? rest | EPOLLIN : rest);
}

void conn_want_write(struct conn *conn, struct loop *loop, bool wanted)
{
    uint32_t rest = conn->source.interest & ~(uint32_t)EPOLLOUT;
    loop_set_interest(loop, &conn->source, wanted ? rest | EPOLLOUT : rest);
}

void conn_finish(struct conn *conn)
{
    shutdown(conn->source.fd, SHUT_WR);
}

void conn_close(struct conn *conn, struct loop *loop, bool reset)
{
    if (conn->source.fd == -1)
        return;
    loop_remove(loop, &conn->source);
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(conn->source.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    close(conn->source.fd);
    conn->source.fd = -1;
}
