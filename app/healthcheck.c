#include "app/healthcheck.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "app/config.h"

enum { TIMEOUT_S = 2 };

/* Where a service that listens on `host` is reached from this machine. */
static const char *reachable(const char *host)
{
    if (strcmp(host, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(host, "::") == 0 ? "::1" : host;
}

static int connect_to(const struct config *config)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses;
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    char service[8];
    snprintf(service, sizeof service, "%u", config->port);
    if (getaddrinfo(reachable(config->host), service, &hints, &addresses) != 0)
        return -1;
    int fd = socket(addresses->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd != -1) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
        if (connect(fd, addresses->ai_addr, addresses->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(addresses);
    return fd;
}

static bool answers_200(int fd)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    static const char expected[] = "HTTP/1.1 200 ";
    char answer[sizeof expected];
    size_t have = 0;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
        return false;
    while (have < sizeof expected - 1) {
        ssize_t got = recv(fd, answer + have, sizeof expected - 1 - have, 0);
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return memcmp(answer, expected, sizeof expected - 1) == 0;
}

int healthcheck_run(const struct config *config)
{
    int fd = connect_to(config);
    if (fd == -1)
        return 1;
    bool healthy = answers_200(fd);
    close(fd);
    return healthy ? 0 : 1;
}
