#include "tests/bench/options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    EXIT_USAGE = 2,
    RESERVED_FDS = 32,
    CLIENTS_MAX = 100000,
    SENDERS_MAX = 10000,
    MEMBER_SENDER_PAIRS_MAX = 20000000, /* each pair is watched for order: 16 bytes */
};

static const char usage[] =
    "usage: fanout --url 127.0.0.1:8080 [options]\n"
    "  --members N   clients in each room (default 1000)\n"
    "  --rooms R     rooms (1)\n"
    "  --senders S   members of each room that send (1)\n"
    "  --rate M      messages a second and sender (10)\n"
    "  --burst W     in place of --rate: each sender keeps W messages in flight\n"
    "  --size B      bytes of a message's data (100)\n"
    "  --seconds T   how long (10)\n"
    "  --deflate     offer permessage-deflate (senders do not); such frames are only counted\n"
    "  --idle N      further clients, in no room (0)\n"
    "  --storm       no messages: clients join a room, leave at once and come again\n"
    "  --parallel C  connects under way at once (64)\n"
    "  --pid P       the server's process, for its CPU time and memory\n"
    "  --name TEXT   of the scenario, for the report\n";

static _Noreturn void fail(const char *what, const char *value)
{
    fprintf(stderr, "fanout: %s: %s\n%s", what, value, usage);
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
    return options->members * options->rooms + options->idle;
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
    if (options->url == NULL)
        fail("missing", "--url");
    if (members + options->idle > CLIENTS_MAX || members + options->idle == 0)
        fail("clients", "none, or more than 100000");
    if (options->senders > options->members)
        fail("--senders", "more than members");
    if ((uint64_t)options->senders * options->rooms > SENDERS_MAX ||
        members * options->senders > MEMBER_SENDER_PAIRS_MAX)
        fail("--senders", "too many");
    raise_file_limit(options_clients(options));
}

static const struct option long_options[] = {
    {"url", required_argument, NULL, 'u'},
    {"members", required_argument, NULL, 'm'},
    {"rooms", required_argument, NULL, 'r'},
    {"senders", required_argument, NULL, 's'},
    {"rate", required_argument, NULL, 'f'},
    {"burst", required_argument, NULL, 'b'},
    {"size", required_argument, NULL, 'z'},
    {"seconds", required_argument, NULL, 't'},
    {"deflate", no_argument, NULL, 'd'},
    {"idle", required_argument, NULL, 'i'},
    {"storm", no_argument, NULL, 'w'},
    {"pid", required_argument, NULL, 'p'},
    {"parallel", required_argument, NULL, 'c'},
    {"name", required_argument, NULL, 'n'},
    {NULL, 0, NULL, 0},
};

static void take_number(struct options *options, int option, const char *name, const char *text)
{
    const struct {
        int option;
        unsigned *to;
        double min, max;
    } numbers[] = {
        {'m', &options->members, 0, CLIENTS_MAX}, {'r', &options->rooms, 1, CLIENTS_MAX},
        {'s', &options->senders, 0, SENDERS_MAX}, {'b', &options->burst, 1, 4096},
        {'z', &options->size, 1, 60000},          {'i', &options->idle, 0, CLIENTS_MAX},
        {'c', &options->parallel, 1, 4096},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].option == option)
            *numbers[i].to = (unsigned)number(name, text, numbers[i].min, numbers[i].max);
}

struct options options_parse(int argc, char **argv)
{
    struct options options = {.name = "fanout",
                              .members = 1000,
                              .rooms = 1,
                              .senders = 1,
                              .rate = 10,
                              .size = 100,
                              .seconds = 10,
                              .parallel = 64};
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        const char *name = long_options[index].name;
        switch (option) {
        case 'u':
            options.url = optarg;
            options.address = parse_url(optarg);
            break;
        case 'f':
            options.rate = number(name, optarg, 0.01, 100000);
            break;
        case 't':
            options.seconds = number(name, optarg, 0.1, 600);
            break;
        case 'p':
            options.pid = (int)number(name, optarg, 1, 4194304);
            break;
        case 'n':
            options.name = optarg;
            break;
        case 'd':
            options.deflate = true;
            break;
        case 'w':
            options.storm = true;
            break;
        case '?':
            fail("no such option, or no value", argv[optind - 1]);
        default:
            take_number(&options, option, name, optarg);
        }
    }
    if (optind != argc)
        fail("not an option", argv[optind]);
    if (strpbrk(options.name, "\"\\") != NULL)
        fail("--name", "quotes and backslashes are not for it");
    check(&options);
    return options;
}
