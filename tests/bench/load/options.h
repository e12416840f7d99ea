#pragma once

/* What the generator is asked to do. Every number is bounded: a slip of the finger must not take
 * the machine down. */

#include <netinet/in.h>
#include <stdbool.h>

#include "tests/bench/load/flavour.h"

enum { OPTIONS_SERVERS_MAX = 8 };

struct options {
    const char *name;                                  /* of the scenario, for the report */
    struct sockaddr_in addresses[OPTIONS_SERVERS_MAX]; /* 127.0.0.0/8 only */
    unsigned addresses_count;                          /* clients take them in turn */
    int pids[OPTIONS_SERVERS_MAX];                     /* of the servers, to measure them */
    unsigned pids_count;
    int helper_pid; /* a process that the servers use (Redis); 0: none */
    const struct flavour *flavour;
    unsigned rooms;
    unsigned first_room; /* its number: several generators do not meet */
    unsigned members;    /* in each room */
    unsigned senders;    /* of the members of each room */
    unsigned slow;       /* of the members of each room: they do not read while it runs */
    unsigned churn;      /* further clients; so many a second leave with RST and come again */
    double rate;         /* messages a second, all senders together; 0: by window */
    unsigned window;     /* messages that a sender keeps in flight */
    unsigned size;       /* bytes of a delivered message */
    double seconds, warmup;
    double rest;       /* seconds between the last connect and the look at memory */
    unsigned stall_ms; /* the servers are stopped so long, two fifths of the time in */
    unsigned parallel; /* connects under way at once */
    bool deflate;      /* offered by all but senders */
    bool storm;        /* no messages: clients join a room, leave at once and come again */
    bool gate;         /* says when all are connected, and goes on with a line from stdin */
};

/* Prints what is wrong and ends the program with code 2 when something is. */
struct options options_parse(int argc, char **argv);

/* All clients together. */
unsigned options_clients(const struct options *options);
/* Those of a room's members that must get everything. */
unsigned options_watched(const struct options *options);
