/*
 * Every send carries MSG_DONTWAIT, so the kernel carries it out within the system call that hands
 * it in, and all have their results when that returns: memory need not outlive it. A ring that
 * fails is not used again; what it did not take is sent one by one.
 */
#include "core/net/burst.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/mem.h"

enum { NOT_SENT = -4096 }; /* below every errno */

struct delivery {
    struct conn *conn;
    struct slice bytes;
    void *tag;
    int result; /* bytes, minus an errno, or NOT_SENT */
};

struct burst {
    struct io_uring ring;
    burst_done *done;
    void *arg;
    unsigned count;
    bool is_disabled; /* so that the ring can be made before its thread is there */
    bool is_broken;
    struct delivery deliveries[BURST_MAX];
};

/* Kernels before 6.1 do not know that one thread alone uses the ring, and do without. */
static int open_ring(struct io_uring *ring, bool *is_disabled)
{
    struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL};
    int result = io_uring_queue_init_params(BURST_MAX, ring, &params);
    *is_disabled = result >= 0;
    return result != -EINVAL ? result : io_uring_queue_init(BURST_MAX, ring, 0);
}

/* Kernels before 5.6 have rings that cannot send, and cannot be asked. */
static bool can_send(struct io_uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    bool can = probe != NULL && io_uring_opcode_supported(probe, IORING_OP_SEND) != 0;
    io_uring_free_probe(probe);
    return can;
}

struct burst *burst_create(burst_done *done, void *arg)
{
    struct burst *burst = mem_try_alloc(sizeof *burst);
    if (burst == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    int result = open_ring(&burst->ring, &burst->is_disabled);
    if (result >= 0 && !can_send(&burst->ring)) {
        io_uring_queue_exit(&burst->ring);
        result = -ENOSYS;
    }
    if (result < 0) {
        mem_free(burst);
        errno = -result;
        return NULL;
    }
    burst->done = done;
    burst->arg = arg;
    burst->count = 0;
    burst->is_broken = false;
    return burst;
}

void burst_destroy(struct burst *burst)
{
    if (burst == NULL)
        return;
    io_uring_queue_exit(&burst->ring);
    mem_free(burst);
}

void burst_add(struct burst *burst, struct conn *conn, struct slice bytes, void *tag)
{
    if (burst->count == BURST_MAX)
        burst_run(burst);
    burst->deliveries[burst->count++] =
        (struct delivery){.conn = conn, .bytes = bytes, .tag = tag, .result = NOT_SENT};
}

static void prepare(struct burst *burst)
{
    for (unsigned i = 0; i < burst->count; i++) {
        struct delivery *delivery = &burst->deliveries[i];
        struct io_uring_sqe *sqe = io_uring_get_sqe(&burst->ring); /* as many as BURST_MAX */
        io_uring_prep_send(sqe, delivery->conn->source.fd, delivery->bytes.ptr, delivery->bytes.len,
                           CONN_SEND_FLAGS);
        io_uring_sqe_set_data(sqe, delivery);
    }
}

static unsigned take_results(struct burst *burst)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&burst->ring, head, cqe)
    {
        struct delivery *delivery = io_uring_cqe_get_data(cqe);
        delivery->result = cqe->res;
        count++;
    }
    io_uring_cq_advance(&burst->ring, count);
    return count;
}

static void break_off(struct burst *burst, int error)
{
    burst->is_broken = true;
    log_warn("io_uring:failed", log_str("reason", strerror(error)));
}

/* The ring is this thread's from now on. liburing 2.3 does not export io_uring_enable_rings. */
static void enable(struct burst *burst)
{
    if (burst->is_disabled && syscall(SYS_io_uring_register, burst->ring.ring_fd,
                                      IORING_REGISTER_ENABLE_RINGS, NULL, 0) != 0)
        break_off(burst, errno);
    burst->is_disabled = false;
}

/* Until every send that the ring took has its result. */
static void hand_in(struct burst *burst)
{
    unsigned results = 0;
    prepare(burst);
    while (results < burst->count) {
        int submitted = io_uring_submit_and_wait(&burst->ring, burst->count - results);
        results += take_results(burst);
        if (submitted >= 0 || submitted == -EINTR)
            continue;
        if (!burst->is_broken)
            break_off(burst, -submitted);
        if (results >= burst->count - io_uring_sq_ready(&burst->ring))
            return;
    }
}

void burst_run(struct burst *burst)
{
    enable(burst);
    if (!burst->is_broken && burst->count != 0)
        hand_in(burst);
    for (unsigned i = 0; i < burst->count; i++) {
        struct delivery *delivery = &burst->deliveries[i];
        struct slice bytes = delivery->bytes;
        size_t sent = 0;
        enum err err = delivery->result == NOT_SENT
                           ? conn_write(delivery->conn, bytes.ptr, bytes.len, &sent)
                           : conn_judge_write(delivery->result, &sent);
        burst->done(burst->arg, delivery->tag, err, sent);
    }
    burst->count = 0;
}
