#include "tests/support/fake_redis.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

enum { CONNECTIONS_MAX = 64, FIRST_CONNECTION = 2 };

struct fake_redis {
    const char *const *replies;
    int port;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t came;
    unsigned connections;                                  /* under the mutex */
    struct pollfd fds[FIRST_CONNECTION + CONNECTIONS_MAX]; /* stop, listen, connections */
    size_t at[FIRST_CONNECTION + CONNECTIONS_MAX];         /* the next reply of each */
    nfds_t count;
};

static void take_connection(struct fake_redis *fake)
{
    int fd = accept4(fake->fds[1].fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd == -1)
        return;
    if (fake->count == FIRST_CONNECTION + CONNECTIONS_MAX) {
        close(fd);
        return;
    }
    fake->at[fake->count] = 0;
    fake->fds[fake->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    pthread_mutex_lock(&fake->mutex);
    fake->connections++;
    pthread_cond_broadcast(&fake->came);
    pthread_mutex_unlock(&fake->mutex);
}

static void answer(struct fake_redis *fake, nfds_t i)
{
    char ignored[4096];
    if (read(fake->fds[i].fd, ignored, sizeof ignored) <= 0) {
        close(fake->fds[i].fd);
        fake->fds[i].fd = -1; /* poll skips it */
        return;
    }
    const char *reply = fake->replies[fake->at[i]];
    if (reply == NULL)
        return;
    fake->at[i]++;
    ssize_t sent = send(fake->fds[i].fd, reply, strlen(reply), MSG_NOSIGNAL);
    (void)sent;
}

static void *run(void *arg)
{
    struct fake_redis *fake = arg;
    while (poll(fake->fds, fake->count, -1) > 0 && fake->fds[0].revents == 0) {
        nfds_t count = fake->count;
        if (fake->fds[1].revents != 0)
            take_connection(fake);
        for (nfds_t i = FIRST_CONNECTION; i < count; i++)
            if (fake->fds[i].fd != -1 && fake->fds[i].revents != 0)
                answer(fake, i);
    }
    return NULL;
}

static bool start_listening(struct fake_redis *fake)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fake->fds[0] = (struct pollfd){.fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN};
    fake->fds[1] = (struct pollfd){.fd = fd, .events = POLLIN};
    fake->count = FIRST_CONNECTION;
    if (fd == -1 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return false;
    fake->port = ntohs(address.sin_port);
    return true;
}

struct fake_redis *fake_redis_start(const char *const *replies)
{
    struct fake_redis *fake = mem_zalloc(sizeof *fake);
    pthread_condattr_t attributes;
    fake->replies = replies;
    pthread_mutex_init(&fake->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&fake->came, &attributes);
    pthread_condattr_destroy(&attributes);
    if (start_listening(fake) && pthread_create(&fake->thread, NULL, run, fake) == 0)
        return fake;
    mem_free(fake);
    return NULL;
}

void fake_redis_stop(struct fake_redis *fake)
{
    eventfd_write(fake->fds[0].fd, 1);
    pthread_join(fake->thread, NULL);
    for (nfds_t i = 0; i < fake->count; i++)
        if (fake->fds[i].fd != -1)
            close(fake->fds[i].fd);
    pthread_cond_destroy(&fake->came);
    pthread_mutex_destroy(&fake->mutex);
    mem_free(fake);
}

struct redis_url fake_redis_url(const struct fake_redis *fake)
{
    static char loopback[] = "127.0.0.1";
    return (struct redis_url){.host = loopback, .port = fake->port};
}

bool fake_redis_await_connections(struct fake_redis *fake, unsigned count, uint64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                             .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    pthread_mutex_lock(&fake->mutex);
    while (fake->connections < count &&
           pthread_cond_timedwait(&fake->came, &fake->mutex, &until) == 0)
        continue;
    bool came = fake->connections >= count;
    pthread_mutex_unlock(&fake->mutex);
    return came;
}
