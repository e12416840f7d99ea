#include "core/net/conn.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/tcp.h"

enum { WAIT_MS = 20000 };

static void on_events(void *arg, struct loop_source *source, uint32_t events)
{
    (void)arg;
    (void)source;
    (void)events;
}

static int on_turn_end(void *arg)
{
    (void)arg;
    return -1;
}

/* A loop that does not run: the test stands in for its thread. */
struct fixture {
    struct loop *loop;
    struct conn conn;
    int peer;
};

static void begin(struct fixture *fixture)
{
    int near;
    CU_ASSERT_EQUAL_FATAL(
        loop_create(
            &(struct loop_opts){.name = "test", .on_events = on_events, .on_turn_end = on_turn_end},
            &fixture->loop),
        ERR_OK);
    tcp_connect(&near, &fixture->peer, TCP_ROOM_DEFAULT);
    CU_ASSERT_EQUAL_FATAL(conn_open(&fixture->conn, fixture->loop, near), ERR_OK);
}

static void end(struct fixture *fixture)
{
    conn_close(&fixture->conn, fixture->loop, false);
    CU_ASSERT_EQUAL(fixture->conn.source.fd, -1);
    conn_close(&fixture->conn, fixture->loop, false);
    if (fixture->peer != -1)
        close(fixture->peer);
    loop_destroy(fixture->loop);
}

static void wait_readable(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    CU_ASSERT_EQUAL_FATAL(poll(&entry, 1, WAIT_MS), 1);
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    CU_ASSERT_EQUAL(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void an_open_socket_is_ready_for_a_loop(void)
{
    struct fixture fixture;
    begin(&fixture);
    int fd = fixture.conn.source.fd;
    CU_ASSERT_EQUAL(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    /* By way of its listener. */
    CU_ASSERT_TRUE(option(fd, SOL_SOCKET, SO_SNDBUF) <= 2 * CONN_SEND_BUFFER);
    CU_ASSERT_TRUE(option(fd, SOL_SOCKET, SO_RCVBUF) <= 2 * CONN_RECEIVE_BUFFER);
    CU_ASSERT_EQUAL(fixture.conn.source.interest, EPOLLIN);
    end(&fixture);
}

static void a_socket_that_cannot_be_opened_is_closed(void)
{
    struct fixture fixture;
    struct conn conn;
    begin(&fixture);
    CU_ASSERT_EQUAL(conn_open(&conn, fixture.loop, -1), ERR_SYSTEM);
    CU_ASSERT_EQUAL(conn.source.fd, -1);
    /* epoll watches no files. */
    int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    CU_ASSERT_TRUE_FATAL(file != -1);
    CU_ASSERT_EQUAL(conn_open(&conn, fixture.loop, file), ERR_SYSTEM);
    CU_ASSERT_EQUAL(conn.source.fd, -1);
    CU_ASSERT_EQUAL(fcntl(file, F_GETFD), -1);
    conn_close(&conn, fixture.loop, true);
    end(&fixture);
}

static void reading_has_four_outcomes(void)
{
    struct fixture fixture;
    char bytes[8];
    size_t got = 0;
    begin(&fixture);
    CU_ASSERT_EQUAL(conn_read(&fixture.conn, bytes, sizeof bytes, &got), ERR_AGAIN);
    CU_ASSERT_EQUAL(send(fixture.peer, "0123456789", 10, 0), 10);
    wait_readable(fixture.conn.source.fd);
    CU_ASSERT_EQUAL(conn_read(&fixture.conn, bytes, sizeof bytes, &got), ERR_OK);
    CU_ASSERT_EQUAL(got, 8);
    CU_ASSERT_EQUAL(conn_read(&fixture.conn, bytes, sizeof bytes, &got), ERR_OK);
    CU_ASSERT_EQUAL(got, 2);
    CU_ASSERT_EQUAL(conn_read(&fixture.conn, bytes, sizeof bytes, &got), ERR_AGAIN);
    shutdown(fixture.peer, SHUT_WR);
    wait_readable(fixture.conn.source.fd);
    CU_ASSERT_EQUAL(conn_read(&fixture.conn, bytes, sizeof bytes, &got), ERR_CLOSED);
    end(&fixture);
}

static void a_reset_is_an_error_for_reader_and_writer(void)
{
    struct iovec part = {.iov_base = "x", .iov_len = 1};
    struct fixture fixture;
    char bytes[8];
    size_t count;
    begin(&fixture);
    tcp_reset(fixture.peer);
    fixture.peer = -1;
    wait_readable(fixture.conn.source.fd);
    CU_ASSERT_EQUAL(conn_read(&fixture.conn, bytes, sizeof bytes, &count), ERR_SYSTEM);
    CU_ASSERT_EQUAL(conn_write(&fixture.conn, "x", 1, &count), ERR_SYSTEM);
    CU_ASSERT_EQUAL(conn_write_gathered(&fixture.conn, &part, 1, &count), ERR_SYSTEM);
    end(&fixture);
}

static size_t read_at_peer(int fd, char *bytes, size_t size)
{
    size_t len = 0;
    while (len < size) {
        wait_readable(fd);
        ssize_t count = recv(fd, bytes + len, size - len, 0);
        if (count <= 0)
            break;
        len += (size_t)count;
    }
    return len;
}

static void writing_sends_what_the_socket_takes(void)
{
    struct iovec parts[] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    struct fixture fixture;
    char bytes[7];
    size_t sent = 0;
    begin(&fixture);
    CU_ASSERT_EQUAL(conn_write(&fixture.conn, "12", 2, &sent), ERR_OK);
    CU_ASSERT_EQUAL(sent, 2);
    CU_ASSERT_EQUAL(conn_write_gathered(&fixture.conn, parts, 3, &sent), ERR_OK);
    CU_ASSERT_EQUAL(sent, 5);
    CU_ASSERT_EQUAL(read_at_peer(fixture.peer, bytes, 7), 7);
    CU_ASSERT_EQUAL(memcmp(bytes, "12abcde", 7), 0);
    end(&fixture);
}

static void a_full_socket_takes_nothing_and_is_no_error(void)
{
    static char bytes[100000];
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct fixture fixture;
    size_t sent = 1, total = 0;
    begin(&fixture);
    for (int i = 0; i < 10000 && sent != 0; i++) {
        CU_ASSERT_EQUAL_FATAL(conn_write(&fixture.conn, bytes, sizeof bytes, &sent), ERR_OK);
        total += sent;
    }
    CU_ASSERT_EQUAL(sent, 0);
    sent = 1;
    CU_ASSERT_EQUAL(conn_write_gathered(&fixture.conn, &part, 1, &sent), ERR_OK);
    CU_ASSERT_TRUE(sent == 0 || (total += sent) != 0);
    CU_ASSERT_TRUE(total > 0);
    end(&fixture);
}

static void fin_goes_behind_what_was_written_and_reading_goes_on(void)
{
    struct fixture fixture;
    char bytes[8];
    size_t count;
    begin(&fixture);
    CU_ASSERT_EQUAL(conn_write(&fixture.conn, "last", 4, &count), ERR_OK);
    conn_finish(&fixture.conn);
    CU_ASSERT_EQUAL(read_at_peer(fixture.peer, bytes, sizeof bytes), 4);
    CU_ASSERT_EQUAL(recv(fixture.peer, bytes, sizeof bytes, 0), 0);
    CU_ASSERT_EQUAL(send(fixture.peer, "answer", 6, 0), 6);
    wait_readable(fixture.conn.source.fd);
    CU_ASSERT_EQUAL(conn_read(&fixture.conn, bytes, sizeof bytes, &count), ERR_OK);
    CU_ASSERT_EQUAL(count, 6);
    end(&fixture);
}

static void closing_sends_fin_or_reset(void)
{
    for (int is_reset = 0; is_reset <= 1; is_reset++) {
        struct fixture fixture;
        char octet;
        begin(&fixture);
        conn_close(&fixture.conn, fixture.loop, is_reset != 0);
        wait_readable(fixture.peer);
        ssize_t count = recv(fixture.peer, &octet, 1, 0);
        CU_ASSERT_EQUAL(count, is_reset ? -1 : 0);
        if (is_reset)
            CU_ASSERT_EQUAL(errno, ECONNRESET);
        end(&fixture);
    }
}

/* --- interest: on the loop's thread --- */

struct interest_task {
    struct loop_task task;
    struct conn *conn;
};

static void change_interest(struct loop_task *task, struct loop *loop)
{
    struct conn *conn = ((struct interest_task *)task)->conn;
    conn_want_write(conn, loop, true);
    CU_ASSERT_EQUAL(conn->source.interest, EPOLLIN | EPOLLOUT);
    conn_want_read(conn, loop, false);
    CU_ASSERT_EQUAL(conn->source.interest, EPOLLOUT);
    conn_want_read(conn, loop, false);
    conn_want_write(conn, loop, false);
    CU_ASSERT_EQUAL(conn->source.interest, 0);
    conn_want_read(conn, loop, true);
    conn_want_read(conn, loop, true);
    CU_ASSERT_EQUAL(conn->source.interest, EPOLLIN);
}

static void interest_in_reading_and_writing_are_apart(void)
{
    struct fixture fixture;
    struct interest_task task = {.task.run = change_interest, .conn = &fixture.conn};
    begin(&fixture);
    CU_ASSERT_EQUAL_FATAL(loop_start(fixture.loop), ERR_OK);
    loop_post(fixture.loop, &task.task);
    loop_stop(fixture.loop); /* runs it before it ends */
    CU_ASSERT_EQUAL(loop_pending(fixture.loop), 0);
    end(&fixture);
}

CU_TestInfo conn_tests[] = {
    {"an_open_socket_is_ready_for_a_loop", an_open_socket_is_ready_for_a_loop},
    {"a_socket_that_cannot_be_opened_is_closed", a_socket_that_cannot_be_opened_is_closed},
    {"reading_has_four_outcomes", reading_has_four_outcomes},
    {"a_reset_is_an_error_for_reader_and_writer", a_reset_is_an_error_for_reader_and_writer},
    {"writing_sends_what_the_socket_takes", writing_sends_what_the_socket_takes},
    {"a_full_socket_takes_nothing_and_is_no_error", a_full_socket_takes_nothing_and_is_no_error},
    {"fin_goes_behind_what_was_written_and_reading_goes_on",
     fin_goes_behind_what_was_written_and_reading_goes_on},
    {"closing_sends_fin_or_reset", closing_sends_fin_or_reset},
    {"interest_in_reading_and_writing_are_apart", interest_in_reading_and_writing_are_apart},
    CU_TEST_INFO_NULL,
};
