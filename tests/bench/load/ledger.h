#pragma once

/*
 * Who got what: each member checks each sender's numbers, so that a message lost, doubled or out of
 * order does not pass for a fast one, and the age of what comes is measured.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/load/meter.h"
#include "tests/bench/load/options.h"
#include "tests/bench/load/peer.h"
#include "tests/bench/load/stamp.h"

struct ledger_totals {
    uint64_t deliveries, bytes; /* of messages, without WebSocket's headers */
    uint64_t lost, duplicated, out_of_order;
    uint64_t unexpected; /* no stamp, or of another length */
};

struct ledger {
    const struct options *options;
    struct order *orders; /* client by client, sender by sender */
    uint64_t *compressed; /* how many such frames each client got: they do not tell their number */
    size_t hint;          /* where the last stamp was */
    size_t message_len;   /* of every delivery, once a probe came back; 0 before */
    uint64_t from_ns;     /* what was due from here on counts for the latency */
    uint64_t to_ns;       /* and up to here */
    struct histogram latency;
    struct ledger_totals totals;
};

void ledger_init(struct ledger *ledger, const struct options *options);
void ledger_fini(struct ledger *ledger);

/*
 * Books a delivery that was read at that time. True when it is a message that the member had not,
 * which `stamp` then tells of; what else it was is in the totals.
 */
bool ledger_book(struct ledger *ledger, const struct peer *peer, const char *text, size_t len,
                 uint64_t read_ns, struct stamp *stamp);
/* The same for a compressed frame, which is only counted. */
void ledger_book_compressed(struct ledger *ledger, const struct peer *peer, size_t len);

/* At the end: what this member should have and has not got to by now is lost, too. */
void ledger_close(struct ledger *ledger, const struct peer *peer, const uint32_t *sent);
