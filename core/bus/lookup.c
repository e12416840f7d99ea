/*
 * Two holders, bus and thread, each with a count; `done` orders the thread's writes before the
 * bus's reads.
 */
#include "core/bus/lookup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"

enum { ADDRESSES_MAX = 8 };

struct lookup {
    atomic_uint refs;
    atomic_bool done;
    int wake_fd;
    int error; /* of getaddrinfo */
    unsigned count;
    char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN];
    char *host;
};

void lookup_release(struct lookup *lookup)
{
    if (lookup == NULL || atomic_fetch_sub(&lookup->refs, 1) != 1)
        return;
    if (lookup->wake_fd >= 0)
        close(lookup->wake_fd);
    mem_free(lookup->host);
    mem_free(lookup);
}

static void add_addresses(struct lookup *lookup, const struct addrinfo *found, int family)
{
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        if (at->ai_family != family || lookup->count == ADDRESSES_MAX)
            continue;
        if (getnameinfo(at->ai_addr, at->ai_addrlen, lookup->addresses[lookup->count],
                        sizeof *lookup->addresses, NULL, 0, NI_NUMERICHOST) == 0)
            lookup->count++;
    }
}

static void *run(void *arg)
{
    struct lookup *lookup = arg;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    pthread_setname_np(pthread_self(), "bus-lookup");
    lookup->error = getaddrinfo(lookup->host, NULL, &hints, &found);
    if (lookup->error == 0) {
        add_addresses(lookup, found, AF_INET);
        add_addresses(lookup, found, AF_INET6);
        freeaddrinfo(found);
    }
    atomic_store(&lookup->done, true);
    uint64_t one = 1;
    /* Fails only when the counter is full, and then the bus is awake anyway. */
    ssize_t ignored = write(lookup->wake_fd, &one, sizeof one);
    (void)ignored;
    lookup_release(lookup);
    return NULL;
}

struct lookup *lookup_start(const char *host, int wake_fd)
{
    struct lookup *lookup = mem_zalloc(sizeof *lookup);
    pthread_t thread;
    lookup->host = mem_strdup(host);
    lookup->wake_fd = fcntl(wake_fd, F_DUPFD_CLOEXEC, 0);
    atomic_init(&lookup->refs, 2);
    atomic_init(&lookup->done, false);
    if (lookup->wake_fd < 0 || pthread_create(&thread, NULL, run, lookup) != 0) {
        atomic_store(&lookup->refs, 1);
        lookup_release(lookup);
        return NULL;
    }
    pthread_detach(thread);
    return lookup;
}

bool lookup_is_done(const struct lookup *lookup)
{
    return atomic_load(&lookup->done);
}

const char *lookup_get_address(const struct lookup *lookup, unsigned attempt)
{
    return lookup->count == 0 ? NULL : lookup->addresses[attempt % lookup->count];
}

const char *lookup_get_error(const struct lookup *lookup)
{
    return lookup->error != 0 ? gai_strerror(lookup->error) : "the name has no address";
}
