#include "tests/bench/load/options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    EXIT_USAGE = 2,
    RESERVED_FDS = 32,
    CLIENTS_MAX = 100000,
    SENDERS_MAX = 1000, /* in a room */
    PID_MAX = 4194304,
    MEMBER_SENDER_PAIRS_MAX = 20000000, /* each pair is watched for order: 16 bytes */
};

static const char usage[] =
    "usage: load --url 127.0.0.1:8080 [options]\n"
    "  --url U        where to connect; several: clients take them in turn\n"
    "  --pid P        a server's process, for its CPU time and memory; several: their sum\n"
    "  --helper-pid P a process that the servers need (Redis), told apart\n"
    "  --flavour F    chat-api (default), echo, lines, socketio\n"
    "  --rooms R      rooms (1)\n"
    "  --first-room N number of the first (0)\n"
    "  --members N    clients in each room (1000)\n"
    "  --senders S    members of each room that send (1)\n"
    "  --slow N       members of each room that do not read (0)\n"
    "  --churn N      further clients, of whom so many a second leave and come again (0)\n"
    "  --rate M       messages a second, all senders together\n"
    "  --window W     in place of --rate: each sender keeps W messages in flight\n"
    "  --size B       bytes of a delivered message (250)\n"
    "  --seconds T    how long (5)\n"
    "  --warmup T     seconds before that are not counted (1)\n"
    "  --rest T       seconds of rest before memory is looked at (0)\n"
    "  --stall MS     stop the servers (SIGSTOP) so long meanwhile\n"
    "  --deflate      offer permessage-deflate (senders do not); such frames are only counted\n"
    "  --storm        no messages: clients join a room, leave at once and come again\n"
    "  --parallel C   connects under way at once (64)\n"
    "  --gate         when all are connected, say so and wait for a line on standard input\n"
    "  --name TEXT    of the scenario, for the report\n";

static _Noreturn void fail(const char *what, const char *value)
{
    fprintf(stderr, "load: %s: %s\n%s", what, value, usage);
    exit(EXIT_USAGE);
}

static double number(const char *option, const char *text, double min, double max)
{
    char *end;
    double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(value >= min && value <= max)) {
        char what[96];
        snprintf(what, sizeof what, "--%s takes %g to %g", option, min, max);
        fail(what, text);
    }
    return value;
}

/* Loopback only: this is a weapon anywhere else. */
static struct sockaddr_in parse_url(const char *url)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    const char *from = strncmp(url, "ws://", 5) == 0 ? url + 5 : url;
    const char *colon = strrchr(from, ':');
    if (colon == NULL || (size_t)(colon - from) >= sizeof host)
        fail("--url takes host:port", url);
    memcpy(host, from, (size_t)(colon - from));
    host[colon - from] = '\0';
    address.sin_port = htons((in_port_t)number("url's port", colon + 1, 1, 65535));
    const char *text = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1 ||
        ntohl(address.sin_addr.s_addr) >> 24 != 127)
        fail("only loopback addresses (127.0.0.0/8) are allowed", url);
    return address;
}

unsigned options_clients(const struct options *options)
{
    return options->members * options->rooms + options->churn;
}

unsigned options_watched(const struct options *options)
{
    return options->members - options->slow;
}

static void raise_file_limit(unsigned clients)
{
    struct rlimit limit;
    char text[64];
    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        fail("getrlimit", "failed");
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (clients + RESERVED_FDS <= limit.rlim_cur)
        return;
    snprintf(text, sizeof text, "%u clients, %llu descriptors", clients,
             (unsigned long long)limit.rlim_cur);
    fail("more clients than descriptors", text);
}

static void check(const struct options *options)
{
    uint64_t members = (uint64_t)options->members * options->rooms;
    if (options->addresses_count == 0)
        fail("missing", "--url");
    if (members + options->churn > CLIENTS_MAX || members + options->churn == 0)
        fail("clients", "none, or more than 100000");
    if (options->senders + options->slow > options->members)
        fail("--senders and --slow", "more than members");
    if (members * options->senders > MEMBER_SENDER_PAIRS_MAX)
        fail("--senders", "too many");
    if (options->senders != 0 && (options->rate > 0) == (options->window != 0))
        fail("one of --rate and --window", "is needed");
    if (options->stall_ms != 0 && options->pids_count == 0)
        fail("--stall", "needs --pid");
    raise_file_limit(options_clients(options));
}

static const struct option long_options[] = {
    {"url", required_argument, NULL, 'u'},
    {"pid", required_argument, NULL, 'p'},
    {"flavour", required_argument, NULL, 'f'},
    {"name", required_argument, NULL, 'n'},
    {"deflate", no_argument, NULL, 'd'},
    {"storm", no_argument, NULL, 'w'},
    {"gate", no_argument, NULL, 'g'},
    {"helper-pid", required_argument, NULL, 0},
    {"rooms", required_argument, NULL, 0},
    {"first-room", required_argument, NULL, 0},
    {"members", required_argument, NULL, 0},
    {"senders", required_argument, NULL, 0},
    {"slow", required_argument, NULL, 0},
    {"churn", required_argument, NULL, 0},
    {"window", required_argument, NULL, 0},
    {"size", required_argument, NULL, 0},
    {"stall", required_argument, NULL, 0},
    {"parallel", required_argument, NULL, 0},
    {"rate", required_argument, NULL, 0},
    {"seconds", required_argument, NULL, 0},
    {"warmup", required_argument, NULL, 0},
    {"rest", required_argument, NULL, 0},
    {NULL, 0, NULL, 0},
};

static void take_number(struct options *options, const char *name, const char *text)
{
    const struct {
        const char *name;
        unsigned *whole; /* or */
        double *real;
        double min, max;
    } numbers[] = {
        {"helper-pid", (unsigned *)&options->helper_pid, NULL, 1, PID_MAX},
        {"rooms", &options->rooms, NULL, 1, CLIENTS_MAX},
        {"first-room", &options->first_room, NULL, 0, 900000},
        {"members", &options->members, NULL, 1, CLIENTS_MAX},
        {"senders", &options->senders, NULL, 0, SENDERS_MAX},
        {"slow", &options->slow, NULL, 0, CLIENTS_MAX},
        {"churn", &options->churn, NULL, 0, CLIENTS_MAX},
        {"window", &options->window, NULL, 1, 4096},
        {"size", &options->size, NULL, 1, 65536},
        {"stall", &options->stall_ms, NULL, 1, 10000},
        {"parallel", &options->parallel, NULL, 1, 4096},
        {"rate", NULL, &options->rate, 0.01, 1e7},
        {"seconds", NULL, &options->seconds, 0.1, 600},
        {"warmup", NULL, &options->warmup, 0, 60},
        {"rest", NULL, &options->rest, 0, 60},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(numbers[i].name, name) != 0)
            continue;
        double value = number(name, text, numbers[i].min, numbers[i].max);
        if (numbers[i].whole != NULL)
            *numbers[i].whole = (unsigned)value;
        else
            *numbers[i].real = value;
    }
}

static void take_server(struct options *options, int option, const char *text)
{
    unsigned *count = option == 'u' ? &options->addresses_count : &options->pids_count;
    if (*count == OPTIONS_SERVERS_MAX)
        fail("too many servers", text);
    if (option == 'u')
        options->addresses[(*count)++] = parse_url(text);
    else
        options->pids[(*count)++] = (int)number("pid", text, 1, PID_MAX);
}

static void take_option(struct options *options, int option, const char *name)
{
    switch (option) {
    case 'u':
    case 'p':
        take_server(options, option, optarg);
        break;
    case 'f':
        options->flavour = flavour_find(optarg);
        if (options->flavour == NULL)
            fail("no such flavour", optarg);
        break;
    case 'n':
        if (strpbrk(optarg, "\"\\") != NULL)
            fail("--name", "quotes and backslashes are not for it");
        options->name = optarg;
        break;
    case 'd':
        options->deflate = true;
        break;
    case 'w':
        options->storm = true;
        break;
    case 'g':
        options->gate = true;
        break;
    default:
        take_number(options, name, optarg);
    }
}

struct options options_parse(int argc, char **argv)
{
    struct options options = {.name = "load",
                              .flavour = flavour_find("chat-api"),
                              .members = 1000,
                              .rooms = 1,
                              .senders = 1,
                              .size = 250,
                              .seconds = 5,
                              .warmup = 1,
                              .parallel = 64};
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (option == '?')
            fail("no such option, or no value", argv[optind - 1]);
        take_option(&options, option, long_options[index].name);
    }
    if (optind != argc)
        fail("not an option", argv[optind]);
    if (options.storm)
        options.senders = 0;
    check(&options);
    return options;
}
