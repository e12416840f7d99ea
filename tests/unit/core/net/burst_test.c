#include "core/net/burst.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/log.h"
#include "tests/support/capture.h"
#include "tests/support/forbid.h"
#include "tests/support/tcp.h"

enum { PEERS_MAX = 2 * BURST_MAX + 1, WAIT_MS = 20000 };

/* What a burst said of each send, and who is at the other end. Nobody watches the sockets. */
struct outcome {
    enum err err;
    size_t sent;
};

struct fixture {
    struct burst *burst;
    struct conn conns[PEERS_MAX];
    int peers[PEERS_MAX];
    char bytes[PEERS_MAX][8];
    struct outcome outcomes[PEERS_MAX];
    int count, done;
};

static struct fixture fixture;

static void on_done(void *arg, void *tag, enum err err, size_t sent)
{
    struct conn *conn = tag;
    CU_ASSERT_PTR_EQUAL(arg, &fixture);
    CU_ASSERT_PTR_EQUAL(conn, &fixture.conns[fixture.done]); /* in the order of adding */
    fixture.outcomes[fixture.done++] = (struct outcome){.err = err, .sent = sent};
}

/* False: the kernel has none, which it must say. The peers take `room` bytes that they do not read,
 * or so. */
static bool begin_with_room(int count, int room)
{
    fixture.count = count;
    fixture.done = 0;
    errno = 0;
    fixture.burst = burst_create(on_done, &fixture);
    if (fixture.burst == NULL) {
        CU_ASSERT_TRUE(errno == EPERM || errno == ENOSYS);
        fprintf(stderr, "no io_uring here, so bursts are not tested: %s\n", strerror(errno));
        return false;
    }
    for (int i = 0; i < count; i++) {
        snprintf(fixture.bytes[i], sizeof *fixture.bytes, "to %04u", (unsigned)i % 10000);
        tcp_connect(&fixture.conns[i].source.fd, &fixture.peers[i], room);
    }
    return true;
}

static bool begin(int count)
{
    return begin_with_room(count, TCP_ROOM_DEFAULT);
}

/* From now on this thread's bursts alone can send. */
static void forbid_other_sends(void)
{
    forbid_call(SYS_sendto, EPERM);
}

static void end(void)
{
    burst_destroy(fixture.burst);
    for (int i = 0; i < fixture.count; i++) {
        close(fixture.conns[i].source.fd);
        if (fixture.peers[i] != -1)
            close(fixture.peers[i]);
    }
}

static void add(int i)
{
    burst_add(fixture.burst, &fixture.conns[i], slice_of(fixture.bytes[i], sizeof *fixture.bytes),
              &fixture.conns[i]);
}

static bool took_all(int i)
{
    return fixture.outcomes[i].err == ERR_OK && fixture.outcomes[i].sent == sizeof *fixture.bytes;
}

static bool hears_its_own(int i)
{
    char heard[sizeof *fixture.bytes + 1];
    struct pollfd entry = {.fd = fixture.peers[i], .events = POLLIN};
    return poll(&entry, 1, WAIT_MS) == 1 &&
           recv(entry.fd, heard, sizeof heard, 0) == sizeof *fixture.bytes &&
           memcmp(heard, fixture.bytes[i], sizeof *fixture.bytes) == 0;
}

static void send_to_each(void *arg)
{
    (void)arg;
    static const int counts[] = {0, 1, 2, BURST_MAX - 1, BURST_MAX, BURST_MAX + 1, PEERS_MAX};
    forbid_other_sends();
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        if (!begin(counts[c]))
            return;
        for (int i = 0; i < counts[c]; i++) {
            add(i);
            CU_ASSERT_EQUAL(fixture.done, i / BURST_MAX * BURST_MAX); /* those that were full */
        }
        burst_run(fixture.burst);
        CU_ASSERT_EQUAL(fixture.done, counts[c]);
        burst_run(fixture.burst); /* nothing more */
        CU_ASSERT_EQUAL(fixture.done, counts[c]);
        for (int i = 0; i < counts[c]; i++) {
            CU_ASSERT_TRUE(took_all(i));
            CU_ASSERT_TRUE(hears_its_own(i));
        }
        end();
    }
}

static void each_peer_gets_its_bytes_however_many_there_are(void)
{
    forbid_on_thread(send_to_each, NULL);
}

static bool hears_as_many(int fd, char what, size_t count)
{
    char heard[4096];
    size_t sum = 0;
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    while (sum < count && poll(&entry, 1, WAIT_MS) == 1) {
        ssize_t got = recv(fd, heard, sizeof heard, 0);
        for (ssize_t i = 0; i < got; i++)
            if (heard[i] != what)
                return false;
        if (got <= 0)
            return false;
        sum += (size_t)got;
    }
    return sum == count && poll(&entry, 1, 0) == 0;
}

static void send_to_full_and_broken(void *arg)
{
    enum { FULL = 1, RESET = 3, CLOSED = 4, ALMOST = 5, COUNT = 7 };
    static char filling[8 * 1024 * 1024]; /* more than any socket takes */
    size_t sent = 1, total = 0;
    (void)arg;
    memset(filling, '#', sizeof filling);
    if (!begin_with_room(COUNT, 4096))
        return;
    while (sent != 0) {
        CU_ASSERT_EQUAL_FATAL(conn_write(&fixture.conns[FULL], filling, sizeof filling, &sent),
                              ERR_OK);
        total += sent;
    }
    tcp_reset(fixture.peers[RESET]);
    fixture.peers[RESET] = -1;
    struct pollfd entry = {.fd = fixture.conns[RESET].source.fd};
    CU_ASSERT_EQUAL_FATAL(poll(&entry, 1, WAIT_MS), 1);
    close(fixture.conns[CLOSED].source.fd);
    fixture.conns[CLOSED].source.fd = -1;
    for (int i = 0; i < COUNT; i++) {
        if (i == ALMOST)
            burst_add(fixture.burst, &fixture.conns[i], slice_of(filling, sizeof filling),
                      &fixture.conns[i]);
        else
            add(i);
    }
    forbid_other_sends();
    burst_run(fixture.burst);
    CU_ASSERT_EQUAL(fixture.done, COUNT);
    CU_ASSERT_EQUAL(fixture.outcomes[FULL].err, ERR_OK);
    CU_ASSERT_TRUE(total > 0 && fixture.outcomes[FULL].sent == 0);
    CU_ASSERT_EQUAL(fixture.outcomes[RESET].err, ERR_SYSTEM);
    CU_ASSERT_EQUAL(fixture.outcomes[CLOSED].err, ERR_SYSTEM);
    CU_ASSERT_EQUAL(fixture.outcomes[ALMOST].err, ERR_OK);
    CU_ASSERT_TRUE(0 < fixture.outcomes[ALMOST].sent);
    CU_ASSERT_TRUE(fixture.outcomes[ALMOST].sent < sizeof filling);
    CU_ASSERT_TRUE(hears_as_many(fixture.peers[ALMOST], '#', fixture.outcomes[ALMOST].sent));
    for (int i = 0; i < COUNT; i += 2) {
        if (i == CLOSED)
            continue;
        CU_ASSERT_TRUE(took_all(i));
        CU_ASSERT_TRUE(hears_its_own(i));
    }
    end();
}

static void full_and_broken_sockets_harm_nobody_else(void)
{
    forbid_on_thread(send_to_full_and_broken, NULL);
}

/* A ring that fails later is not used any more, which the log says, and nobody else notices. */
static void run_where_this_fails(void *number)
{
    enum { COUNT = BURST_MAX + 2 };
    bool is_enabled = *(const long *)number == SYS_io_uring_enter;
    if (!begin(COUNT))
        return;
    if (is_enabled) {
        add(0);
        burst_run(fixture.burst);
        CU_ASSERT_TRUE(took_all(0) && hears_its_own(0));
    }
    forbid_call(*(const long *)number, EPERM);
    struct capture capture;
    capture_begin(&capture);
    log_open(LOG_WARN);
    for (int round = 0; round < 2; round++) {
        fixture.done = 0;
        for (int i = 0; i < COUNT; i++)
            add(i);
        burst_run(fixture.burst);
        CU_ASSERT_EQUAL(fixture.done, COUNT);
        for (int i = 0; i < COUNT; i++)
            CU_ASSERT_TRUE(took_all(i) && hears_its_own(i));
    }
    capture_end(&capture);
    char *line = strstr(capture.text, "io_uring:failed");
    CU_ASSERT_TRUE(line != NULL && strstr(line, strerror(EPERM)) != NULL);
    CU_ASSERT_TRUE(line != NULL && strstr(line + 1, "io_uring:failed") == NULL);
    capture_fini(&capture);
    end();
}

static void a_ring_that_fails_is_done_without(void)
{
    /* The second one is what its first use needs. */
    long calls[] = {SYS_io_uring_enter, SYS_io_uring_register};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        forbid_on_thread(run_where_this_fails, &calls[i]);
}

static void run_once(void *arg)
{
    (void)arg;
    forbid_other_sends();
    burst_run(fixture.burst);
}

static void another_thread_may_run_what_one_created(void)
{
    if (!begin(2))
        return;
    add(0);
    add(1);
    forbid_on_thread(run_once, NULL);
    CU_ASSERT_EQUAL(fixture.done, 2);
    for (int i = 0; i < 2; i++)
        CU_ASSERT_TRUE(took_all(i) && hears_its_own(i));
    end();
}

static void create_where_it_is_forbidden(void *arg)
{
    (void)arg;
    forbid_call(SYS_io_uring_setup, EPERM);
    errno = 0;
    CU_ASSERT_PTR_NULL(burst_create(on_done, &fixture));
    CU_ASSERT_EQUAL(errno, EPERM);
    burst_destroy(NULL);
}

/* As one that is too old to be asked what its rings can do. */
static void create_where_it_cannot_be_asked(void *arg)
{
    (void)arg;
    forbid_call(SYS_io_uring_register, EINVAL);
    errno = 0;
    CU_ASSERT_PTR_NULL(burst_create(on_done, &fixture));
    CU_ASSERT_TRUE(errno == ENOSYS || errno == EPERM);
}

static void where_the_kernel_refuses_there_is_none(void)
{
    struct rlimit files, few;
    forbid_on_thread(create_where_it_is_forbidden, NULL);
    forbid_on_thread(create_where_it_cannot_be_asked, NULL);
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &files), 0);
    few = files;
    few.rlim_cur = 3;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct burst *burst = burst_create(on_done, &fixture);
    int error = errno;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &files), 0);
    CU_ASSERT_PTR_NULL(burst);
    CU_ASSERT_TRUE(error == EMFILE || error == EPERM || error == ENOSYS);
}

CU_TestInfo burst_tests[] = {
    {"each_peer_gets_its_bytes_however_many_there_are",
     each_peer_gets_its_bytes_however_many_there_are},
    {"full_and_broken_sockets_harm_nobody_else", full_and_broken_sockets_harm_nobody_else},
    {"a_ring_that_fails_is_done_without", a_ring_that_fails_is_done_without},
    {"another_thread_may_run_what_one_created", another_thread_may_run_what_one_created},
    {"where_the_kernel_refuses_there_is_none", where_the_kernel_refuses_there_is_none},
    CU_TEST_INFO_NULL,
};
