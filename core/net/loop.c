/*
 * The mailbox is a list and an event descriptor: a poster takes the lock for two pointer writes, a
 * drain detaches the whole list under it and runs it outside. Own posts need no wake-up: before the
 * loop sleeps it looks whether the list is empty.
 */
#include "core/net/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/lock.h"
#include "core/base/mem.h"

enum {
    EVENTS_PER_TURN = 256,
    REST_MS = 1, /* how long sources rest when others cannot keep up */
};

struct loop {
    struct loop_opts opts;
    char name[16];
    int epoll_fd;
    struct loop_source wake; /* an eventfd */
    uint64_t now_ms;
    uint64_t turned_ms; /* when the last turn began, in the same clock */
    size_t sources;     /* in the epoll set */
    size_t reported;    /* events of the full turns in a row */
    bool caught_up;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    atomic_size_t pending;

    struct lock lock;
    struct loop_task *first GUARDED_BY(lock);
    struct loop_task **last GUARDED_BY(lock);
    bool asleep GUARDED_BY(lock); /* the next post must wake the thread */
};

static _Thread_local const struct loop *current;

enum err loop_create(const struct loop_opts *opts, struct loop **out)
{
    *out = NULL;
    struct loop *loop = mem_zalloc(sizeof *loop);
    loop->opts = *opts;
    snprintf(loop->name, sizeof loop->name, "%s", opts->name);
    loop->opts.name = loop->name;
    lock_init(&loop->lock);
    loop->last = &loop->first;
    if (loop->opts.clock_ms == NULL)
        loop->opts.clock_ms = clock_monotonic_ms;
    loop->now_ms = loop->opts.clock_ms();
    loop->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->wake.fd == -1 || loop->epoll_fd == -1 ||
        loop_add(loop, &loop->wake, EPOLLIN | EPOLLET) != ERR_OK) {
        loop_destroy(loop);
        return ERR_SYSTEM;
    }
    *out = loop;
    return ERR_OK;
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL)
        return;
    assert(!loop->started);
    if (loop->wake.fd != -1)
        close(loop->wake.fd);
    if (loop->epoll_fd != -1)
        close(loop->epoll_fd);
    lock_fini(&loop->lock);
    mem_free(loop);
}

static void wake(struct loop *loop)
{
    uint64_t one = 1;
    /* The counter is never read: the set tells of each write (EPOLLET), and 2^64 sleeps are more
     * than there will be. */
    ssize_t written = write(loop->wake.fd, &one, sizeof one);
    assert(written == sizeof one);
    (void)written;
}

static void append_locked(struct loop *loop, struct loop_task *task) REQUIRES(loop->lock)
{
    task->next = NULL;
    atomic_fetch_add_explicit(&loop->pending, 1, memory_order_relaxed);
    *loop->last = task;
    loop->last = &task->next;
}

void loop_post(struct loop *loop, struct loop_task *task)
{
    lock_acquire(&loop->lock);
    append_locked(loop, task);
    bool must_wake = loop->asleep;
    loop->asleep = false;
    lock_release(&loop->lock);
    if (must_wake)
        wake(loop);
}

void loop_post_lazily(struct loop *loop, struct loop_task *task)
{
    lock_acquire(&loop->lock);
    append_locked(loop, task);
    lock_release(&loop->lock);
}

size_t loop_pending(const struct loop *loop)
{
    return atomic_load_explicit(&loop->pending, memory_order_relaxed);
}

bool loop_is_current(const struct loop *loop)
{
    return current == loop;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

static void drain_mailbox(struct loop *loop)
{
    lock_acquire(&loop->lock);
    struct loop_task *task = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    lock_release(&loop->lock);
    while (task != NULL) {
        struct loop_task *next = task->next;
        atomic_fetch_sub_explicit(&loop->pending, 1, memory_order_relaxed);
        task->run(task, loop);
        task = next;
    }
}

/* Says whether the thread may sleep; from then on a post wakes it. */
static bool fall_asleep(struct loop *loop)
{
    lock_acquire(&loop->lock);
    loop->asleep = loop->first == NULL;
    bool asleep = loop->asleep;
    lock_release(&loop->lock);
    return asleep;
}

static void wake_up(struct loop *loop)
{
    lock_acquire(&loop->lock);
    loop->asleep = false;
    lock_release(&loop->lock);
}

/* Ready sources take turns in the kernel's list, so none is reported twice before all were once. */
static void count_reported(struct loop *loop, int count)
{
    loop->reported = count == EVENTS_PER_TURN ? loop->reported + EVENTS_PER_TURN : 0;
    loop->caught_up = loop->reported == 0 || loop->reported >= loop->sources;
    if (loop->caught_up)
        loop->reported = 0;
}

bool loop_has_caught_up(const struct loop *loop)
{
    return loop->caught_up;
}

static void run_events(struct loop *loop, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct loop_source *source = events[i].data.ptr;
        if (source != &loop->wake)
            loop->opts.on_events(loop->opts.arg, source, events[i].events);
    }
}

/* Lets tasks gather, unless the last turn is long enough ago. */
static void gather(struct loop *loop)
{
    uint64_t passed_ms = loop->now_ms - loop->turned_ms;
    if (passed_ms < loop->opts.gather_ms && !atomic_load(&loop->stopping)) {
        usleep((useconds_t)(loop->opts.gather_ms - passed_ms) * 1000);
        loop->now_ms = loop->opts.clock_ms();
    }
    loop->turned_ms = loop->now_ms;
}

static void turn(struct loop *loop, int *timeout_ms)
{
    struct epoll_event events[EVENTS_PER_TURN];
    bool rest = loop->opts.should_rest != NULL && loop->opts.should_rest(loop->opts.arg);
    if (rest) {
        usleep(REST_MS * 1000);
    } else {
        int timeout = fall_asleep(loop) ? *timeout_ms : 0;
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, timeout);
        wake_up(loop);
        loop->now_ms = loop->opts.clock_ms();
        gather(loop);
        count_reported(loop, count);
        run_events(loop, events, count);
    }
    drain_mailbox(loop);
    *timeout_ms = loop->opts.on_turn_end(loop->opts.arg);
}

static void *run(void *arg)
{
    struct loop *loop = arg;
    current = loop;
    pthread_setname_np(pthread_self(), loop->name);
    int timeout_ms = 0;
    while (!atomic_load(&loop->stopping))
        turn(loop, &timeout_ms);
    drain_mailbox(loop);
    loop->opts.on_turn_end(loop->opts.arg);
    return NULL;
}

enum err loop_start(struct loop *loop)
{
    sigset_t all, before;
    sigfillset(&all);
    /* Signals are for the main thread. */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int result = pthread_create(&loop->thread, NULL, run, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) {
        errno = result;
        return ERR_SYSTEM;
    }
    loop->started = true;
    return ERR_OK;
}

void loop_stop(struct loop *loop)
{
    if (!loop->started)
        return;
    atomic_store(&loop->stopping, true);
    wake(loop);
    pthread_join(loop->thread, NULL);
    loop->started = false;
}

enum err loop_add(struct loop *loop, struct loop_source *source, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) == -1)
        return ERR_SYSTEM;
    source->interest = interest;
    loop->sources++;
    return ERR_OK;
}

void loop_set_interest(struct loop *loop, struct loop_source *source, uint32_t interest)
{
    assert(loop_is_current(loop));
    if (source->interest == interest)
        return;
    struct epoll_event event = {.events = interest, .data.ptr = source};
    /* A source in the set can always be changed (epoll_ctl(2): EPOLL_CTL_MOD needs no memory). */
    int result = epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
    assert(result == 0);
    (void)result;
    source->interest = interest;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL) == 0)
        loop->sources--;
    source->interest = 0;
}
