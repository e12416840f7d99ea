#pragma once

/* What a measurement found: as a table for people on stderr, as one line of JSON on stdout. */

#include "tests/bench/load/ledger.h"
#include "tests/bench/load/meter.h"
#include "tests/bench/load/options.h"

/* Who had used how much at one moment, and how much had come by then. */
struct moment {
    uint64_t time_ns;
    struct usage server, helper, own; /* `server`: the sum of all servers */
    double busiest_server_s;          /* the most that one of them wanted */
    double machine_s;
    uint64_t sends; /* segments with data, which is the servers' sends */
    uint64_t deliveries, bytes;
};

struct result {
    struct moment at_start, connected;
    struct moment rested;   /* options.rest behind that */
    struct moment from, to; /* measured: between these */
    struct moment drained;  /* what was under way then has come, too */
    uint64_t sent;
    uint64_t opened, refused; /* connects */
    uint64_t closed;          /* members that the servers put out */
    uint64_t slow_closed;     /* slow ones */
    unsigned close_code;      /* the first that a server gave to a member */
    unsigned slow_close_code; /* to a slow one */
};

void report(const struct options *options, const struct result *result,
            const struct ledger *ledger);
