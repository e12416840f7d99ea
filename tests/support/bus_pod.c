#include "tests/support/bus_pod.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

static atomic_uint_fast64_t skipped_ms;
static atomic_uint_fast64_t frozen_ms; /* 0: time runs */

uint64_t bus_pod_clock_ms(void)
{
    uint64_t now_ms = atomic_load(&frozen_ms);
    return (now_ms != 0 ? now_ms : clock_monotonic_ms()) + atomic_load(&skipped_ms);
}

void bus_pod_freeze(void)
{
    atomic_store(&frozen_ms, clock_monotonic_ms());
}

void bus_pod_thaw(void)
{
    atomic_store(&frozen_ms, 0);
}

struct interest_change {
    struct list_link link;
    bool wanted;
    char room[];
};

static char *copy(struct slice text)
{
    char *out = mem_zalloc(text.len + 1);
    memcpy(out, text.ptr, text.len);
    return out;
}

static void on_message(void *arg, struct slice room, struct slice payload, bool trusted)
{
    struct bus_pod *pod = arg;
    struct bus_pod_message *message = mem_zalloc(sizeof *message);
    message->trusted = trusted;
    message->room = room.ptr != NULL ? copy(room) : NULL;
    message->payload = copy(payload);
    pthread_mutex_lock(&pod->mutex);
    list_push_back(&pod->messages, &message->link);
    pod->count++;
    pthread_cond_broadcast(&pod->changed);
    pthread_mutex_unlock(&pod->mutex);
}

static void on_subscribed(void *arg, struct slice room)
{
    struct bus_pod *pod = arg;
    (void)room;
    pthread_mutex_lock(&pod->mutex);
    pod->subscribed++;
    pthread_cond_broadcast(&pod->changed);
    pthread_mutex_unlock(&pod->mutex);
}

static void on_refused(void *arg, struct slice room)
{
    struct bus_pod *pod = arg;
    (void)room;
    pthread_mutex_lock(&pod->mutex);
    pod->told_refused++;
    pthread_cond_broadcast(&pod->changed);
    pthread_mutex_unlock(&pod->mutex);
}

static void on_control(void *arg, struct slice from, struct slice payload)
{
    on_message(arg, from, payload, true);
}

static void on_reached(void *arg, uint64_t ask, size_t pods)
{
    struct bus_pod *pod = arg;
    pthread_mutex_lock(&pod->mutex);
    pod->reached = ask;
    pod->reached_pods = pods;
    pthread_cond_broadcast(&pod->changed);
    pthread_mutex_unlock(&pod->mutex);
}

static void take_interest(void *arg, void (*each)(struct bus *bus, struct slice room, bool wanted),
                          struct bus *bus)
{
    struct bus_pod *pod = arg;
    struct list changes;
    list_init(&changes);
    pthread_mutex_lock(&pod->mutex);
    list_append(&changes, &pod->interest);
    pod->looked++;
    pthread_cond_broadcast(&pod->changed);
    pthread_mutex_unlock(&pod->mutex);
    for (struct list_link *link; (link = list_pop_front(&changes)) != NULL;) {
        struct interest_change *change = LIST_ENTRY(link, struct interest_change, link);
        each(bus, slice_str(change->room), change->wanted);
        mem_free(change);
    }
}

static void on_commands(void *arg, bool taken)
{
    struct bus_pod *pod = arg;
    pthread_mutex_lock(&pod->mutex);
    taken ? pod->taken++ : pod->refused++;
    pthread_cond_broadcast(&pod->changed);
    pthread_mutex_unlock(&pod->mutex);
}

static void start(struct bus_pod *pod, const char *id, struct redis_url url, size_t outbox_max,
                  bool commanding)
{
    pthread_condattr_t attributes;
    *pod = (struct bus_pod){0};
    pthread_mutex_init(&pod->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pod->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    list_init(&pod->messages);
    list_init(&pod->interest);
    struct bus_opts opts = {
        .url = &url,
        .pod_id = id,
        .outbox_max = outbox_max,
        .outbox_max_bytes = 64 * 1024 * 1024,
        .payload_max = 1024 * 1024,
        .clock_ms = bus_pod_clock_ms,
        .arg = pod,
        .on_message = on_message,
        .take_interest = take_interest,
        .on_subscribed = on_subscribed,
        .on_refused = on_refused,
        .on_control = on_control,
        .on_reached = on_reached,
        .on_commands = commanding ? on_commands : NULL,
    };
    pod->bus = bus_create(&opts);
    enum err err = bus_start(pod->bus);
    (void)err; /* a bus that does not run connects to nothing, and the test says so */
}

void bus_pod_start(struct bus_pod *pod, const char *id, struct redis_url url, size_t outbox_max)
{
    start(pod, id, url, outbox_max, false);
}

void bus_pod_start_commanding(struct bus_pod *pod, const char *id, struct redis_url url)
{
    start(pod, id, url, 100, true);
}

void bus_pod_stop(struct bus_pod *pod, uint64_t ms)
{
    bus_pod_thaw();
    bus_stop(pod->bus, bus_pod_clock_ms() + ms);
    bus_destroy(pod->bus);
    bus_pod_forget(pod);
    for (struct list_link *link; (link = list_pop_front(&pod->interest)) != NULL;)
        mem_free(LIST_ENTRY(link, struct interest_change, link));
    pthread_cond_destroy(&pod->changed);
    pthread_mutex_destroy(&pod->mutex);
}

void bus_pod_want(struct bus_pod *pod, const char *room, bool wanted)
{
    struct interest_change *change = mem_zalloc(sizeof *change + strlen(room) + 1);
    memcpy(change->room, room, strlen(room) + 1);
    change->wanted = wanted;
    pthread_mutex_lock(&pod->mutex);
    list_push_back(&pod->interest, &change->link);
    pthread_mutex_unlock(&pod->mutex);
    bus_interest_changed(pod->bus);
}

void bus_pod_say(struct bus_pod *pod, const char *room, unsigned number)
{
    char text[32];
    /* The offset shows that what stands before it does not go out. */
    int len = snprintf(text, sizeof text, "xx{\"n\":%u}", number);
    struct blob *blob = blob_try_create((size_t)len);
    memcpy(blob->bytes, text, (size_t)len);
    bus_publish(pod->bus, slice_str(room), blob, 2);
    blob_release(blob);
}

void bus_pod_tell(struct bus_pod *pod, const char *to, unsigned number, uint64_t ask)
{
    char text[32];
    int len = snprintf(text, sizeof text, "{\"n\":%u}", number);
    struct blob *blob = blob_try_create((size_t)len);
    memcpy(blob->bytes, text, (size_t)len);
    bus_tell(pod->bus, slice_str(to), blob, ask);
    blob_release(blob);
}

/* Waits for a change of the pod, 5 ms at most: the bus's own state has no event. False once
 * `until_ms` has passed. */
static bool wait_a_little(struct bus_pod *pod, uint64_t until_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 5000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&pod->changed, &pod->mutex, &until);
    return clock_monotonic_ms() < until_ms;
}

enum awaited { CONNECTED, MESSAGES, SUBSCRIBED, LOOKED, TAKEN, REFUSED, OUTBOX };

static size_t look(struct bus_pod *pod, enum awaited what)
{
    struct bus_stats stats;
    switch (what) {
    case CONNECTED:
        return bus_is_connected(pod->bus);
    case MESSAGES:
        return pod->count;
    case SUBSCRIBED:
        return pod->subscribed;
    case LOOKED:
        return pod->looked;
    case TAKEN:
        return pod->taken;
    case REFUSED:
        return pod->refused;
    case OUTBOX:
        break;
    }
    bus_get_stats(pod->bus, &stats);
    return stats.outbox_messages;
}

static bool await(struct bus_pod *pod, enum awaited what, size_t least, size_t most)
{
    uint64_t until_ms = clock_monotonic_ms() + BUS_POD_WAIT_MS;
    pthread_mutex_lock(&pod->mutex);
    size_t value = look(pod, what);
    while ((value < least || value > most) && wait_a_little(pod, until_ms))
        value = look(pod, what);
    pthread_mutex_unlock(&pod->mutex);
    return value >= least && value <= most;
}

bool bus_pod_await(struct bus_pod *pod, bool (*is_so)(void *arg), void *arg)
{
    uint64_t until_ms = clock_monotonic_ms() + BUS_POD_WAIT_MS;
    bool in_time = true, so = is_so(arg);
    while (!so && in_time) {
        pthread_mutex_lock(&pod->mutex);
        in_time = wait_a_little(pod, until_ms);
        pthread_mutex_unlock(&pod->mutex);
        so = is_so(arg);
    }
    return so;
}

bool bus_pod_await_connected(struct bus_pod *pod, bool connected)
{
    return await(pod, CONNECTED, connected, connected);
}

bool bus_pod_await_messages(struct bus_pod *pod, size_t count)
{
    return await(pod, MESSAGES, count, SIZE_MAX);
}

bool bus_pod_await_subscribed(struct bus_pod *pod, size_t count)
{
    return await(pod, SUBSCRIBED, count, SIZE_MAX);
}

bool bus_pod_await_taken(struct bus_pod *pod, size_t count)
{
    return await(pod, TAKEN, count, SIZE_MAX);
}

bool bus_pod_await_refused(struct bus_pod *pod, size_t count)
{
    return await(pod, REFUSED, count, SIZE_MAX);
}

bool bus_pod_await_outbox(struct bus_pod *pod, size_t messages)
{
    return await(pod, OUTBOX, messages, messages);
}

/* The turn that looks first may have read the clock before; the one that looks third begins when
 * the second has ended. */
void bus_pod_settle(struct bus_pod *pod)
{
    for (int i = 0; i < 3; i++) {
        pthread_mutex_lock(&pod->mutex);
        size_t looked = pod->looked;
        pthread_mutex_unlock(&pod->mutex);
        bus_interest_changed(pod->bus);
        (void)await(pod, LOOKED, looked + 1, SIZE_MAX);
    }
}

void bus_pod_skip(struct bus_pod *pod, uint64_t ms)
{
    atomic_fetch_add(&skipped_ms, ms);
    bus_pod_settle(pod);
}

bool bus_pod_took_sequence(struct bus_pod *pod, unsigned from, unsigned to)
{
    char expected[32];
    unsigned number = from;
    bool good = true;
    pthread_mutex_lock(&pod->mutex);
    for (struct list_link *at = pod->messages.head.next; at != &pod->messages.head && good;
         at = at->next, number++) {
        struct bus_pod_message *message = LIST_ENTRY(at, struct bus_pod_message, link);
        snprintf(expected, sizeof expected, "{\"n\":%u}", number);
        good = message->trusted && strcmp(message->payload, expected) == 0;
        if (!good)
            fprintf(stderr, "expected %s, got %s\n", expected, message->payload);
    }
    if (number != to)
        fprintf(stderr, "expected numbers up to %u, got up to %u\n", to, number);
    pthread_mutex_unlock(&pod->mutex);
    bus_pod_forget(pod);
    return good && number == to;
}

struct bus_pod_message *bus_pod_first(struct bus_pod *pod)
{
    pthread_mutex_lock(&pod->mutex);
    struct list_link *link = list_first(&pod->messages);
    pthread_mutex_unlock(&pod->mutex);
    return link != NULL ? LIST_ENTRY(link, struct bus_pod_message, link) : NULL;
}

void bus_pod_forget(struct bus_pod *pod)
{
    pthread_mutex_lock(&pod->mutex);
    for (struct list_link *link; (link = list_pop_front(&pod->messages)) != NULL;) {
        struct bus_pod_message *message = LIST_ENTRY(link, struct bus_pod_message, link);
        mem_free(message->room);
        mem_free(message->payload);
        mem_free(message);
    }
    pod->count = 0;
    pthread_mutex_unlock(&pod->mutex);
}

static bool has_reached(void *arg)
{
    struct bus_pod *pod = arg;
    pthread_mutex_lock(&pod->mutex);
    bool has = pod->reached != 0;
    pthread_mutex_unlock(&pod->mutex);
    return has;
}

size_t bus_pod_await_reached(struct bus_pod *pod, uint64_t ask)
{
    bool came = bus_pod_await(pod, has_reached, pod);
    pthread_mutex_lock(&pod->mutex);
    size_t pods = came && pod->reached == ask ? pod->reached_pods : 0;
    pod->reached = 0;
    pthread_mutex_unlock(&pod->mutex);
    return pods;
}
