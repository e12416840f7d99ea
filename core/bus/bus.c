/*
 * The bus thread: one epoll set with the connections and an eventfd, one turn for whatever woke
 * it. A turn takes what other threads asked for, lets the connections do what is due, and writes
 * once at its end, so that a burst of publishes leaves in few writes.
 *
 * Other threads reach in at five places only: the outbox and the commands (their own locks), the
 * requests (bus->lock), atomic counters, and the eventfd, which is written when nobody has written
 * it since the thread last looked.
 */
#include "core/bus/bus.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/lock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/bus/channel.h"
#include "core/bus/commander.h"
#include "core/bus/log_pause.h"
#include "core/bus/outbox.h"
#include "core/bus/publisher.h"
#include "core/bus/subscriber.h"
#include "core/bus/waiters.h"

enum { EVENTS_MAX = 4 };

struct bus {
    /* Fixed at creation. */
    struct bus_opts opts; /* its url and pod_id point to what follows */
    struct redis_url url;
    char *prefix; /* `{"pod":"<id>",` */
    char *pod_id;
    int epoll_fd, wake_fd;

    /* Any thread. */
    struct outbox outbox;
    atomic_bool wake_pending;
    atomic_bool interest_changed;
    atomic_bool connected, ever_connected;
    atomic_uint_fast64_t away_since_ms; /* 0 while connected */
    atomic_uint_fast64_t reconnects_total;
    atomic_size_t subscriptions;
    struct log_pause dropped_pause;

    struct lock lock;
    struct list arrived GUARDED_BY(lock); /* waiters that the thread has not seen */
    bool running GUARDED_BY(lock);        /* the thread takes waiters */
    bool released GUARDED_BY(lock);       /* nobody waits any more */
    bool stopping GUARDED_BY(lock);
    uint64_t stop_ms GUARDED_BY(lock); /* when to end at the latest */

    /* The bus thread's. */
    pthread_t thread;
    struct publisher publisher;
    struct subscriber subscriber;
    struct commander commander; /* any thread may give */
    struct waiters waiters;
    bool is_ending; /* `stopping`, as the thread saw it */
    uint64_t end_ms;
};

static void copy_url(struct redis_url *to, const struct redis_url *from)
{
    *to = (struct redis_url){.port = from->port, .db = from->db};
    to->host = from->host != NULL ? mem_strdup(from->host) : NULL;
    to->unix_path = from->unix_path != NULL ? mem_strdup(from->unix_path) : NULL;
    to->user = from->user != NULL ? mem_strdup(from->user) : NULL;
    to->password = from->password != NULL ? mem_strdup(from->password) : NULL;
}

static void make_prefix(struct bus *bus, const char *pod_id)
{
    static const char format[] = "{\"pod\":\"%s\",";
    size_t size = sizeof format + strlen(pod_id);
    bus->prefix = mem_zalloc(size);
    snprintf(bus->prefix, size, format, pod_id);
}

static void on_message(void *arg, struct slice room, struct slice payload, bool trusted)
{
    struct bus *bus = arg;
    bus->opts.on_message(bus->opts.arg, room, payload, trusted);
}

static void on_subscribed(void *arg, struct slice room)
{
    struct bus *bus = arg;
    bus->opts.on_subscribed(bus->opts.arg, room);
}

static void on_refused(void *arg, struct slice room)
{
    struct bus *bus = arg;
    bus->opts.on_refused(bus->opts.arg, room);
}

static void on_control(void *arg, struct slice pod, struct slice payload)
{
    struct bus *bus = arg;
    bus->opts.on_control(bus->opts.arg, pod, payload);
}

static void on_reached(void *arg, uint64_t ask, long long pods)
{
    struct bus *bus = arg;
    if (bus->opts.on_reached != NULL)
        bus->opts.on_reached(bus->opts.arg, ask, pods > 0 ? (size_t)pods : 0);
}

static void on_commands(void *arg, bool taken)
{
    struct bus *bus = arg;
    bus->opts.on_commands(bus->opts.arg, taken);
}

static void create_links(struct bus *bus)
{
    struct slice prefix = slice_str(bus->prefix);
    struct redis_link_opts link = {
        .url = &bus->url,
        .epoll_fd = bus->epoll_fd,
        .wake_fd = bus->wake_fd,
        .clock_ms = bus->opts.clock_ms,
    };
    struct subscriber_opts subscriber = {
        .own_mark = slice_of(prefix.ptr, prefix.len - 1), /* without its comma */
        .pod = slice_str(bus->pod_id),
        .payload_max = bus->opts.payload_max,
        .control_max = BUS_CONTROL_MAX,
        .arg = bus,
        .on_message = on_message,
        .on_subscribed = on_subscribed,
        .on_refused = on_refused,
        .on_control = bus->opts.on_control != NULL ? on_control : NULL,
    };
    struct commander_opts commander = {
        .max_bytes = COMMANDER_BYTES_MAX, .arg = bus, .on_commands = on_commands};
    publisher_init(&bus->publisher, &link, &bus->outbox, prefix);
    bus->publisher.arg = bus;
    bus->publisher.on_reached = on_reached;
    subscriber_init(&bus->subscriber, &link, &subscriber);
    commander_init(&bus->commander, &link, &commander);
}

struct bus *bus_create(const struct bus_opts *opts)
{
    struct bus *bus = mem_zalloc(sizeof *bus);
    bus->opts = *opts;
    copy_url(&bus->url, opts->url);
    make_prefix(bus, opts->pod_id);
    bus->opts.url = &bus->url;
    bus->pod_id = mem_strdup(opts->pod_id);
    bus->opts.pod_id = bus->pod_id;
    if (bus->opts.clock_ms == NULL)
        bus->opts.clock_ms = clock_monotonic_ms;
    bus->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bus->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_store(&bus->away_since_ms, bus->opts.clock_ms());
    outbox_init(&bus->outbox, opts->outbox_max, opts->outbox_max_bytes);
    lock_init(&bus->lock);
    list_init(&bus->arrived);
    waiters_init(&bus->waiters);
    create_links(bus);
    return bus;
}

void bus_destroy(struct bus *bus)
{
    if (bus == NULL)
        return;
    commander_fini(&bus->commander);
    subscriber_fini(&bus->subscriber);
    publisher_fini(&bus->publisher);
    outbox_fini(&bus->outbox);
    lock_fini(&bus->lock);
    if (bus->epoll_fd >= 0)
        close(bus->epoll_fd);
    if (bus->wake_fd >= 0)
        close(bus->wake_fd);
    redis_url_fini(&bus->url);
    mem_free(bus->prefix);
    mem_free(bus->pod_id);
    mem_free(bus);
}

/* One write to the eventfd for all that is asked for until the thread looks. */
static void wake(struct bus *bus)
{
    uint64_t one = 1;
    if (atomic_exchange(&bus->wake_pending, true))
        return;
    /* Fails only when the counter is full, and then the thread wakes anyway. */
    ssize_t ignored = write(bus->wake_fd, &one, sizeof one);
    (void)ignored;
}

/* The flag is cleared before anything is looked at: what comes later writes again. */
static void take_wake(struct bus *bus)
{
    uint64_t count;
    ssize_t ignored = read(bus->wake_fd, &count, sizeof count);
    (void)ignored;
    atomic_store(&bus->wake_pending, false);
}

static void change_interest(struct bus *bus, struct slice room, bool wanted)
{
    subscriber_want(&bus->subscriber, room, wanted);
}

/* Takes the waiters first and the interest after them: what a waiter waits for was announced
 * before it came, so it is known when the waiter is judged. */
static void take_requests(struct bus *bus, struct list *arrived, bool *released)
{
    lock_acquire(&bus->lock);
    list_append(arrived, &bus->arrived);
    *released = bus->released;
    bus->is_ending = bus->stopping;
    bus->end_ms = bus->stop_ms;
    lock_release(&bus->lock);
    if (atomic_exchange(&bus->interest_changed, false))
        bus->opts.take_interest(bus->opts.arg, change_interest, bus);
}

static void update_connected(struct bus *bus, uint64_t now_ms)
{
    bool connected =
        bus->publisher.phase != PUBLISHER_DOWN && subscriber_is_ready(&bus->subscriber);
    atomic_store(&bus->subscriptions, subscriber_count(&bus->subscriber));
    if (connected == atomic_load(&bus->connected))
        return;
    atomic_store(&bus->away_since_ms, connected ? 0 : now_ms);
    if (connected && atomic_exchange(&bus->ever_connected, true))
        atomic_fetch_add(&bus->reconnects_total, 1);
    atomic_store(&bus->connected, connected);
    if (connected)
        log_info("redis:connected", log_uint("subscriptions", subscriber_count(&bus->subscriber)),
                 log_uint("waiting", outbox_get_counts(&bus->outbox).messages));
}

static void serve_waiters(struct bus *bus, struct list *arrived, bool released, uint64_t now_ms)
{
    const struct interest *interest = &bus->subscriber.interest;
    if (released || !atomic_load(&bus->connected)) {
        list_append(&bus->waiters.list, arrived);
        waiters_release_all(&bus->waiters);
    } else {
        waiters_admit(&bus->waiters, arrived, interest);
        if (bus->subscriber.settled_any)
            waiters_serve(&bus->waiters, interest);
        waiters_expire(&bus->waiters, now_ms);
    }
    bus->subscriber.settled_any = false;
}

static bool has_commands(const struct bus *bus)
{
    return bus->opts.on_commands != NULL;
}

static void turn_commander(struct bus *bus, uint64_t now_ms)
{
    if (!has_commands(bus))
        return;
    redis_link_tick(&bus->commander.link, now_ms);
    commander_turn(&bus->commander,
                   bus->publisher.phase == PUBLISHER_FLOW && subscriber_is_ready(&bus->subscriber));
    redis_link_flush(&bus->commander.link);
}

static void take_turn(struct bus *bus)
{
    uint64_t now_ms = bus->opts.clock_ms();
    struct list arrived;
    bool released;
    list_init(&arrived);
    take_requests(bus, &arrived, &released);
    redis_link_tick(&bus->subscriber.link, now_ms);
    redis_link_tick(&bus->publisher.link, now_ms);
    subscriber_turn(&bus->subscriber, now_ms);
    publisher_turn(&bus->publisher, now_ms, subscriber_is_ready(&bus->subscriber), bus->is_ending);
    redis_link_flush(&bus->subscriber.link);
    redis_link_flush(&bus->publisher.link);
    turn_commander(bus, now_ms);
    update_connected(bus, now_ms);
    serve_waiters(bus, &arrived, released, now_ms);
}

/* Without Redis there is nothing to be waited for at the end, and with a Redis that hangs no longer
 * than was asked. */
static bool has_ended(struct bus *bus)
{
    bool all_sent = outbox_get_counts(&bus->outbox).messages == 0 &&
                    (!has_commands(bus) || commander_is_idle(&bus->commander));
    return bus->is_ending && (bus->publisher.phase == PUBLISHER_DOWN || all_sent ||
                              bus->opts.clock_ms() >= bus->end_ms);
}

static int get_wait_ms(const struct bus *bus)
{
    uint64_t next_ms = publisher_next_ms(&bus->publisher);
    uint64_t subscriber_ms = subscriber_next_ms(&bus->subscriber);
    uint64_t now_ms = bus->opts.clock_ms();
    if (subscriber_ms < next_ms)
        next_ms = subscriber_ms;
    if (waiters_next_ms(&bus->waiters) < next_ms)
        next_ms = waiters_next_ms(&bus->waiters);
    if (has_commands(bus) && redis_link_next_ms(&bus->commander.link) < next_ms)
        next_ms = redis_link_next_ms(&bus->commander.link);
    if (bus->is_ending && bus->end_ms < next_ms)
        next_ms = bus->end_ms;
    if (next_ms <= now_ms)
        return 0;
    return next_ms - now_ms > INT_MAX ? INT_MAX : (int)(next_ms - now_ms);
}

static void wait_for_events(struct bus *bus)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(bus->epoll_fd, events, EVENTS_MAX, get_wait_ms(bus));
    assert(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == NULL)
            take_wake(bus);
        else
            redis_link_on_event(events[i].data.ptr, events[i].events);
    }
}

/* Later waiters are let go by who brings them. */
static void close_requests(struct bus *bus)
{
    lock_acquire(&bus->lock);
    bus->running = false;
    list_append(&bus->waiters.list, &bus->arrived);
    lock_release(&bus->lock);
    waiters_release_all(&bus->waiters);
}

static void *run(void *arg)
{
    struct bus *bus = arg;
    pthread_setname_np(pthread_self(), "bus");
    for (take_turn(bus); !has_ended(bus); take_turn(bus))
        wait_for_events(bus);
    redis_link_quit(&bus->subscriber.link);
    redis_link_quit(&bus->publisher.link);
    redis_link_quit(&bus->commander.link);
    commander_stop(&bus->commander);
    outbox_set_flowing(&bus->outbox, false);
    atomic_store(&bus->connected, false);
    close_requests(bus);
    return NULL;
}

/* Signals are main's: the thread is born with all of them blocked. */
static bool start_thread(struct bus *bus)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&bus->thread, NULL, run, bus);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return error == 0;
}

enum err bus_start(struct bus *bus)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (bus->epoll_fd == -1 || bus->wake_fd == -1 ||
        epoll_ctl(bus->epoll_fd, EPOLL_CTL_ADD, bus->wake_fd, &event) == -1)
        return ERR_SYSTEM;
    lock_acquire(&bus->lock);
    bus->running = true;
    lock_release(&bus->lock);
    if (has_commands(bus))
        commander_start(&bus->commander);
    if (start_thread(bus))
        return ERR_OK;
    commander_stop(&bus->commander);
    close_requests(bus);
    return ERR_SYSTEM;
}

static void send(struct bus *bus, struct slice room, struct blob *payload, size_t offset,
                 uint64_t ask)
{
    bool must_wake;
    assert(payload->len > offset + 1 && payload->bytes[offset] == '{');
    size_t dropped = outbox_push_asking(&bus->outbox, room, payload, offset, ask, &must_wake);
    if (must_wake)
        wake(bus);
    if (dropped > 0 && log_pause_is_over(&bus->dropped_pause))
        log_warn("redis:outbox_full",
                 log_uint("dropped_total", outbox_get_counts(&bus->outbox).dropped));
}

void bus_publish(struct bus *bus, struct slice room, struct blob *payload, size_t offset)
{
    send(bus, room, payload, offset, 0);
}

void bus_tell(struct bus *bus, struct slice pod, struct blob *payload, uint64_t ask)
{
    char name[CHANNEL_POD_MAX];
    send(bus, channel_name_pod(pod, name), payload, 0, ask);
}

void bus_command(struct bus *bus, const struct slice *words, size_t count, bus_done *done,
                 void *arg)
{
    struct slice(*pieces)[2] = mem_zalloc(count * sizeof *pieces);
    const struct slice **each = mem_zalloc(count * sizeof *each);
    for (size_t i = 0; i < count; i++) {
        pieces[i][0] = words[i];
        each[i] = pieces[i];
    }
    bool must_wake = commander_give(&bus->commander, each, count, done, arg);
    mem_free(each);
    mem_free(pieces);
    if (must_wake)
        wake(bus);
}

static void signal_room(struct bus *bus, struct slice room, struct slice json, bus_done *done,
                        void *arg)
{
    struct slice command[] = {slice_str("PUBLISH"), SLICE_NONE};
    struct slice channel[3] = {SLICE_NONE};
    struct slice payload[] = {slice_str(bus->prefix), slice_skip(json, 1), SLICE_NONE};
    const struct slice *words[] = {command, channel, payload};
    assert(json.len > 2 && json.ptr[0] == '{');
    channel_of_room(room, channel);
    if (commander_give(&bus->commander, words, 3, done, arg))
        wake(bus);
}

void bus_signal(struct bus *bus, struct slice room, struct slice json)
{
    signal_room(bus, room, json, NULL, NULL);
}

void bus_signal_pods(struct bus *bus, struct slice json, bus_done *done, void *arg)
{
    char name[CHANNEL_POD_MAX];
    signal_room(bus, channel_name_pod(SLICE_NONE, name), json, done, arg);
}

void bus_interest_changed(struct bus *bus)
{
    atomic_store(&bus->interest_changed, true);
    wake(bus);
}

void bus_await(struct bus *bus, struct bus_waiter *waiter)
{
    waiter->link = (struct list_link){0};
    waiter->refused = false;
    lock_acquire(&bus->lock);
    bool running = bus->running;
    /* The clock is read under the lock, so that the list is in the order of its deadlines. */
    waiter->deadline_ms = bus->opts.clock_ms() + BUS_AWAIT_MS;
    if (running)
        list_push_back(&bus->arrived, &waiter->link);
    lock_release(&bus->lock);
    if (running)
        wake(bus);
    else
        waiter->done(waiter);
}

/* It stands among those that arrived, which the lock guards, or among the thread's own. */
void bus_let_go(struct bus *bus, struct bus_waiter *waiter)
{
    lock_acquire(&bus->lock);
    list_remove(&waiter->link);
    lock_release(&bus->lock);
    waiter->done(waiter);
}

void bus_release_waiters(struct bus *bus)
{
    lock_acquire(&bus->lock);
    bus->released = true;
    lock_release(&bus->lock);
    wake(bus);
}

bool bus_is_connected(const struct bus *bus)
{
    return atomic_load(&bus->connected);
}

void bus_get_stats(struct bus *bus, struct bus_stats *out)
{
    struct outbox_counts outbox = outbox_get_counts(&bus->outbox);
    uint64_t away_since_ms = atomic_load(&bus->away_since_ms);
    *out = (struct bus_stats){
        .connected = atomic_load(&bus->connected),
        .ever_connected = atomic_load(&bus->ever_connected),
        .away_ms = away_since_ms != 0 ? bus->opts.clock_ms() - away_since_ms : 0,
        .reconnects_total = atomic_load(&bus->reconnects_total),
        .published_total = atomic_load(&bus->publisher.published_total),
        .received_total = atomic_load(&bus->subscriber.received_total),
        .duplicates_total = atomic_load(&bus->subscriber.duplicates_total),
        .invalid_total = atomic_load(&bus->subscriber.invalid_total),
        .refused_total = atomic_load(&bus->subscriber.refused_total),
        .outbox_dropped_total = outbox.dropped,
        .outbox_messages = outbox.messages,
        .outbox_bytes = outbox.bytes,
        .subscriptions = atomic_load(&bus->subscriptions),
    };
}

void bus_count_invalid(struct bus *bus)
{
    atomic_fetch_add(&bus->subscriber.invalid_total, 1);
}

void bus_stop(struct bus *bus, uint64_t deadline_ms)
{
    lock_acquire(&bus->lock);
    bool running = bus->running && !bus->stopping;
    bus->stopping = true;
    bus->stop_ms = deadline_ms;
    lock_release(&bus->lock);
    if (!running)
        return;
    wake(bus);
    pthread_join(bus->thread, NULL);
}
