#pragma once

/* What the generator is asked to do. Every number is bounded: a slip of the finger must not take
 * the machine down. */

#include <netinet/in.h>
#include <stdbool.h>

struct options {
    const char *name; /* of the scenario, for the report */
    const char *url;
    struct sockaddr_in address; /* 127.0.0.0/8 only */
    unsigned members;           /* in each room */
    unsigned rooms;
    unsigned senders; /* of the members of each room */
    double rate;      /* messages a second and sender; 0: none */
    unsigned burst;   /* in flight for each sender, as fast as they come back; 0: by rate */
    unsigned size;    /* bytes of a message's data, at least */
    double seconds;
    unsigned idle; /* clients in no room that do nothing */
    unsigned parallel;
    int pid;      /* of the server; 0: its use is not measured */
    bool deflate; /* offered by all but senders */
    bool storm;   /* clients come and go all the time */
};

/* Prints what is wrong and ends the program with code 2 when something is. */
struct options options_parse(int argc, char **argv);

/* All clients together. */
unsigned options_clients(const struct options *options);
