#include "tests/support/redis_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"

enum { START_MS = 60000, ARGS_MAX = 40, FIRST_PORT = 10240, PORTS_MIN = 1000, ATTEMPTS = 100 };

/* The first port that the kernel may give to any connection, as long as nobody says otherwise. */
static int first_ephemeral_port(void)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");
    int first = 32768;
    if (file != NULL && fscanf(file, "%d", &first) != 1)
        first = 32768;
    if (file != NULL)
        fclose(file);
    return first;
}

/* 0 when `wanted` is not free; with 0 any port is looked for. */
static int bind_port(int wanted)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)wanted);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = 0;
    if (fd != -1 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        port = ntohs(address.sin_port);
    if (fd != -1)
        close(fd);
    return port;
}

/* The server comes later, and comes again: one of the ports that the kernel gives to connections
 * would be taken meanwhile, now and then, even by who tries to reach that very server. */
static int find_free_port(void)
{
    int count = first_ephemeral_port() - FIRST_PORT, port = 0;
    if (count < PORTS_MIN)
        return bind_port(0);
    for (int attempt = 0; attempt < ATTEMPTS && port == 0; attempt++) {
        unsigned random = 0;
        ssize_t got = getrandom(&random, sizeof random, 0);
        port = got == sizeof random ? bind_port(FIRST_PORT + (int)(random % (unsigned)count)) : 0;
    }
    return port;
}

bool redis_server_init(struct redis_server *server, const char *const *args)
{
    *server = (struct redis_server){.args = args, .port = find_free_port()};
    snprintf(server->dir, sizeof server->dir, "/tmp/chat-api-redis-XXXXXX");
    if (server->port == 0 || mkdtemp(server->dir) == NULL)
        return false;
    snprintf(server->socket, sizeof server->socket, "%s/redis.sock", server->dir);
    return true;
}

static void run_server(struct redis_server *server, int output)
{
    char port[16];
    const char *args[ARGS_MAX] = {
        "redis-server", "--port",     port,        "--bind",    "127.0.0.1", "--unixsocket",
        server->socket, "--dir",      server->dir, "--save",    "",          "--appendonly",
        "no",           "--loglevel", "notice",    "--logfile", "",
    };
    size_t count = 0;
    snprintf(port, sizeof port, "%d", server->port);
    while (args[count] != NULL)
        count++;
    for (size_t i = 0; server->args != NULL && server->args[i] != NULL; i++)
        args[count++] = server->args[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output, STDOUT_FILENO);
    execvp(args[0], (char *const *)args);
    _exit(127);
}

/* Redis says on its standard output when it is ready: no polling of the port. */
static bool await_ready(int output)
{
    char text[8192];
    size_t len = 0;
    uint64_t until_ms = clock_monotonic_ms() + START_MS;
    while (len < sizeof text - 1 && clock_monotonic_ms() < until_ms) {
        struct pollfd poll_fd = {.fd = output, .events = POLLIN};
        if (poll(&poll_fd, 1, (int)(until_ms - clock_monotonic_ms())) <= 0)
            continue;
        ssize_t got = read(output, text + len, sizeof text - 1 - len);
        if (got <= 0)
            return false;
        len += (size_t)got;
        text[len] = '\0';
        if (strstr(text, "ready to accept connections at") != NULL)
            return true; /* the unix socket's line comes last */
    }
    return false;
}

bool redis_server_start(struct redis_server *server)
{
    int ends[2];
    if (pipe(ends) == -1)
        return false;
    server->pid = fork();
    if (server->pid == 0)
        run_server(server, ends[1]);
    close(ends[1]);
    bool ready = server->pid != -1 && await_ready(ends[0]);
    /* Redis ignores SIGPIPE, and what it says later is of no interest. */
    close(ends[0]);
    return ready;
}

void redis_server_kill(struct redis_server *server)
{
    if (server->pid <= 0)
        return;
    kill(server->pid, SIGKILL);
    while (waitpid(server->pid, NULL, 0) == -1 && errno == EINTR)
        continue;
    server->pid = 0;
}

/* Returns once the process has stopped, so that nothing is answered any more. */
void redis_server_pause(struct redis_server *server)
{
    kill(server->pid, SIGSTOP);
    waitpid(server->pid, NULL, WUNTRACED);
}

void redis_server_resume(struct redis_server *server)
{
    kill(server->pid, SIGCONT);
}

void redis_server_fini(struct redis_server *server)
{
    redis_server_kill(server);
    unlink(server->socket);
    rmdir(server->dir);
}

struct redis_url redis_server_url(struct redis_server *server)
{
    static char loopback[] = "127.0.0.1";
    return (struct redis_url){.host = loopback, .port = server->port};
}

redisReply *redis_server_command(struct redis_server *server, const char *format, ...)
{
    struct timeval limit = {.tv_sec = 5};
    redisContext *context = redisConnectUnixWithTimeout(server->socket, limit);
    redisReply *reply = NULL;
    if (context != NULL && context->err == 0) {
        va_list args;
        va_start(args, format);
        redisSetTimeout(context, limit);
        reply = redisvCommand(context, format, args);
        va_end(args);
    }
    if (context != NULL)
        redisFree(context);
    return reply;
}
