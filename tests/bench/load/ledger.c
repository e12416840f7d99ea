#include "tests/bench/load/ledger.h"

#include <stdlib.h>

#include "tests/bench/load/must.h"

enum { WINDOW_BITS = 64 };

/* Which of a sender's messages a member has seen. */
struct order {
    uint64_t window; /* bit i: message next - 1 - i came */
    uint32_t next;
};

void ledger_init(struct ledger *ledger, const struct options *options)
{
    size_t clients = options_clients(options);
    *ledger = (struct ledger){.options = options, .from_ns = UINT64_MAX};
    ledger->orders = must_allocate(clients * options->senders, sizeof *ledger->orders);
    ledger->compressed = must_allocate(clients, sizeof *ledger->compressed);
}

void ledger_fini(struct ledger *ledger)
{
    free(ledger->orders);
    free(ledger->compressed);
}

/* False for what is there already. */
static bool note_order(struct ledger_totals *totals, struct order *order, uint32_t number)
{
    if (number == order->next) {
        order->window = order->window << 1 | 1;
        order->next++;
        return true;
    }
    if (number > order->next) {
        uint32_t step = number - order->next + 1;
        totals->lost += step - 1;
        order->window = (step < WINDOW_BITS ? order->window << step : 0) | 1;
        order->next = number + 1;
        return true;
    }
    uint32_t back = order->next - 1 - number;
    uint64_t bit = back < WINDOW_BITS ? UINT64_C(1) << back : 0;
    if (bit == 0 || (order->window & bit) != 0) {
        totals->duplicated++;
        return false;
    }
    order->window |= bit;
    totals->lost--;
    totals->out_of_order++;
    return true;
}

static void count(struct ledger *ledger, size_t len)
{
    ledger->totals.deliveries++;
    ledger->totals.bytes += len;
}

bool ledger_book(struct ledger *ledger, const struct peer *peer, const char *text, size_t len,
                 uint64_t read_ns, struct stamp *stamp)
{
    unsigned senders = ledger->options->senders;
    if (!stamp_find(text, len, &ledger->hint, stamp)) {
        ledger->totals.unexpected++;
        return false;
    }
    if (stamp->sender == STAMP_PROBE) {
        /* Other members' copies may come when messages of the right length are under way. */
        if (ledger->message_len == 0)
            ledger->message_len = len;
        return false;
    }
    if (stamp->sender >= senders || len != ledger->message_len) {
        ledger->totals.unexpected++;
        return false;
    }
    struct order *order = &ledger->orders[(size_t)peer->number * senders + stamp->sender];
    if (!note_order(&ledger->totals, order, stamp->number))
        return false;
    uint64_t age = stamp_age_ns(stamp, read_ns), due = read_ns - age;
    if (due >= ledger->from_ns && due < ledger->to_ns)
        histogram_add(&ledger->latency, age);
    count(ledger, len);
    return true;
}

void ledger_book_compressed(struct ledger *ledger, const struct peer *peer, size_t len)
{
    ledger->compressed[peer->number]++;
    count(ledger, len);
}

void ledger_close(struct ledger *ledger, const struct peer *peer, const uint32_t *sent)
{
    unsigned senders = ledger->options->senders;
    const struct order *orders = &ledger->orders[(size_t)peer->number * senders];
    uint64_t expected = 0, seen = ledger->compressed[peer->number];
    for (unsigned i = 0; i < senders; i++) {
        expected += sent[i];
        seen += orders[i].next;
    }
    if (seen < expected)
        ledger->totals.lost += expected - seen;
    else
        ledger->totals.duplicated += seen - expected;
}
