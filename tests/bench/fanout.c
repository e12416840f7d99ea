/*
 * Many WebSocket clients in one thread, to measure how a chat server fans out (README.md).
 *
 *     connect all ─▶ send for T seconds ─▶ wait for what is under way ─▶ report ─▶ RST
 *
 * A message's data is {"b":sender,"n":number,"t":nanoseconds,"p":"xxx"}: each member finds out from
 * it whether anything is lost, doubled or out of order, and how old it is. With --rate a message's
 * time is the one at which it was due: a stall makes all that it held up late, as users see it.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/meter.h"
#include "tests/bench/options.h"
#include "tests/bench/peer.h"

#define SECOND_NS UINT64_C(1000000000)

enum {
    CONNECT_SECONDS = 120,
    DRAIN_SECONDS = 5,   /* without any delivery */
    SETTLE_MS = 300,     /* before memory is read */
    FAILURES_MAX = 1000, /* connects that fail before it gives up */
};

struct sender {
    struct peer *peer;
    uint32_t index; /* in its room */
    uint32_t sent;
    uint32_t complete; /* messages that all who are watched have */
    uint64_t due_ns;
    uint32_t *arrived; /* by number modulo the burst: how many have it */
};

struct totals {
    uint64_t deliveries, unexpected;
    uint64_t lost, duplicated, out_of_order;
    uint64_t opened, failed, closed;
    unsigned close_code; /* the first that the server gave */
    uint64_t last_delivery_ns;
};

struct load {
    struct options options;
    struct peers *peers;
    struct peer *clients;
    struct sender *senders; /* room by room */
    uint32_t senders_count;
    uint32_t next_client; /* the first that has not begun to connect */
    uint32_t under_way;   /* connects */
    uint64_t marker_at;   /* where the last message had MARKER */
    struct histogram latency;
    struct totals totals;
};

/* Who had used how much CPU at one moment, and how often the server had sent something. */
struct moment {
    struct usage server, own;
    double machine_s;
    uint64_t sends;
};

struct result {
    struct moment at_start, connected, at_end;
    double connect_s, run_s;
    uint64_t sent, expected;
};

/* --- in --- */

static const char marker[] = "\"data\":{\"b\":";

struct stamp {
    uint64_t sender, number, time_ns;
};

/* Reads digits, then steps over `skip` characters. */
static uint64_t read_number(const char **at, const char *end, size_t skip)
{
    uint64_t value = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at)
        value = value * 10 + (uint64_t)(**at - '0');
    *at += skip;
    return value;
}

static bool find_stamp(struct load *load, const char *text, size_t len, struct stamp *stamp)
{
    size_t marker_len = sizeof marker - 1;
    const char *at = text + load->marker_at;
    if (load->marker_at + marker_len > len || memcmp(at, marker, marker_len) != 0)
        at = memmem(text, len, marker, marker_len);
    if (at == NULL)
        return false;
    load->marker_at = (uint64_t)(at - text);
    at += marker_len;
    stamp->sender = read_number(&at, text + len, sizeof ",\"n\":" - 1);
    stamp->number = read_number(&at, text + len, sizeof ",\"t\":" - 1);
    stamp->time_ns = read_number(&at, text + len, 0);
    return at < text + len && stamp->sender < load->options.senders;
}

/* False for what is there already. */
static bool note_order(struct totals *totals, struct order *order, uint32_t number)
{
    if (number >= order->next) {
        uint32_t step = number - order->next + 1;
        totals->lost += step - 1;
        order->window = (step < 64 ? order->window << step : 0) | 1;
        order->next = number + 1;
        return true;
    }
    uint32_t back = order->next - 1 - number;
    uint64_t bit = back < 64 ? UINT64_C(1) << back : 0;
    if (bit == 0 || (order->window & bit) != 0) {
        totals->duplicated++;
        return false;
    }
    order->window |= bit;
    totals->lost--;
    totals->out_of_order++;
    return true;
}

static void note_arrival(struct load *load, struct sender *sender, uint32_t number)
{
    /* A compressed message does not tell its number: those who offer deflate are not waited for. */
    uint32_t watched = load->options.deflate ? load->options.senders : load->options.members;
    uint32_t *arrived = &sender->arrived[number % load->options.burst];
    if (++*arrived == watched) {
        *arrived = 0;
        sender->complete++;
    }
}

static void on_text(void *arg, struct peer *peer, const char *text, size_t len, bool compressed)
{
    struct load *load = arg;
    struct stamp stamp;
    if (compressed) {
        peer->counted++;
    } else if (peer->order == NULL || !find_stamp(load, text, len, &stamp)) {
        load->totals.unexpected++;
        return;
    } else {
        struct sender *sender = &load->senders[peer->room * load->options.senders + stamp.sender];
        if (!note_order(&load->totals, &peer->order[stamp.sender], (uint32_t)stamp.number))
            return;
        if (load->options.burst != 0 && !peer->deflate)
            note_arrival(load, sender, (uint32_t)stamp.number);
        histogram_add(&load->latency, load->peers->read_ns - stamp.time_ns);
    }
    load->totals.deliveries++;
    load->totals.last_delivery_ns = load->peers->read_ns;
}

/* --- connecting --- */

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "fanout: %s\n", what);
    exit(1);
}

static void begin_connect(struct load *load, struct peer *peer)
{
    if (!peer_connect(load->peers, peer))
        give_up(strerror(errno));
    load->under_way++;
}

static void on_open(void *arg, struct peer *peer)
{
    struct load *load = arg;
    load->under_way--;
    load->totals.opened++;
    if (!load->options.storm)
        return;
    peer_close(peer);
    begin_connect(load, peer);
}

static void on_refused(void *arg, struct peer *peer)
{
    struct load *load = arg;
    load->under_way--;
    if (++load->totals.failed > FAILURES_MAX)
        give_up("too many connects fail");
    begin_connect(load, peer);
}

static void on_gone(void *arg, struct peer *peer, unsigned code)
{
    struct load *load = arg;
    (void)peer;
    load->totals.closed++;
    if (load->totals.close_code == 0)
        load->totals.close_code = code;
}

static void *must_allocate(size_t count, size_t size)
{
    void *memory = calloc(count != 0 ? count : 1, size);
    if (memory == NULL) {
        perror("fanout");
        exit(1);
    }
    return memory;
}

static void make_clients(struct load *load)
{
    const struct options *options = &load->options;
    unsigned members = options->members * options->rooms;
    load->clients = must_allocate(options_clients(options), sizeof *load->clients);
    load->senders_count = options->storm ? 0 : options->senders * options->rooms;
    load->senders = must_allocate(load->senders_count, sizeof *load->senders);
    for (uint32_t i = 0; i < options_clients(options); i++) {
        struct peer *peer = &load->clients[i];
        *peer = (struct peer){.fd = -1, .number = i, .room = ROOM_NONE};
        if (i >= members)
            continue;
        /* A room's members follow each other, its senders first. */
        uint32_t index = i % options->members;
        peer->room = i / options->members;
        peer->order = must_allocate(options->senders, sizeof *peer->order);
        peer->deflate = options->deflate && index >= options->senders;
        if (options->storm || index >= options->senders)
            continue;
        struct sender *sender = &load->senders[peer->room * options->senders + index];
        *sender = (struct sender){.peer = peer, .index = index};
        if (options->burst != 0)
            sender->arrived = must_allocate(options->burst, sizeof *sender->arrived);
    }
}

static void free_clients(struct load *load)
{
    for (uint32_t i = 0; i < options_clients(&load->options); i++) {
        peer_close(&load->clients[i]);
        free(load->clients[i].order);
    }
    for (uint32_t i = 0; i < load->senders_count; i++)
        free(load->senders[i].arrived);
    free(load->clients);
    free(load->senders);
}

static void connect_all(struct load *load)
{
    uint32_t total = options_clients(&load->options);
    uint64_t deadline = now_ns() + CONNECT_SECONDS * SECOND_NS;
    while (load->totals.opened < total) {
        while (load->next_client < total && load->under_way < load->options.parallel)
            begin_connect(load, &load->clients[load->next_client++]);
        peers_turn(load->peers, now_ns() + SECOND_NS / 10);
        if (now_ns() > deadline)
            give_up("connecting takes too long");
    }
}

static void run_storm(struct load *load)
{
    uint64_t deadline = now_ns() + (uint64_t)(load->options.seconds * 1e9);
    uint32_t total = options_clients(&load->options);
    while (now_ns() < deadline) {
        while (load->next_client < total && load->under_way < load->options.parallel)
            begin_connect(load, &load->clients[load->next_client++]);
        peers_turn(load->peers, now_ns() + SECOND_NS / 10);
    }
}

/* --- sending --- */

static bool send_one(struct load *load, struct sender *sender, uint64_t time_ns)
{
    static char text[65536];
    int len = snprintf(text, sizeof text - load->options.size - 8,
                       "{\"data\":{\"b\":%u,\"n\":%u,\"t\":%llu,\"p\":\"", sender->index,
                       sender->sent, (unsigned long long)time_ns);
    size_t head = (size_t)len, data = head - sizeof "{\"data\":" + 1;
    size_t padding = load->options.size > data + 3 ? load->options.size - data - 3 : 0;
    memset(text + head, 'x', padding);
    memcpy(text + head + padding, "\"}}", 3);
    if (!peer_add_text(sender->peer, text, head + padding + 3))
        return false;
    sender->sent++;
    return true;
}

/* Sends what is due; returns when something is due next. */
static uint64_t send_due(struct load *load, struct sender *sender, uint64_t now)
{
    const struct options *options = &load->options;
    uint64_t interval = (uint64_t)(1e9 / options->rate), next = UINT64_MAX;
    uint32_t before = sender->sent;
    if (sender->peer->state != PEER_OPEN)
        return next;
    if (options->burst != 0) {
        bool room = true;
        while (room && sender->sent - sender->complete < options->burst)
            room = send_one(load, sender, now);
    } else {
        for (; sender->due_ns <= now && send_one(load, sender, sender->due_ns);)
            sender->due_ns += interval;
        next = sender->due_ns;
    }
    if (sender->sent != before)
        peer_flush(load->peers, sender->peer);
    return next;
}

static void run_messages(struct load *load)
{
    uint64_t start = now_ns(), end = start + (uint64_t)(load->options.seconds * 1e9);
    for (uint32_t i = 0; i < load->senders_count; i++)
        load->senders[i].due_ns =
            start + (uint64_t)(1e9 / load->options.rate * i / load->senders_count);
    for (uint64_t now = start; now < end; now = now_ns()) {
        uint64_t next = end;
        for (uint32_t i = 0; i < load->senders_count; i++) {
            uint64_t due = send_due(load, &load->senders[i], now);
            next = due < next ? due : next;
        }
        peers_turn(load->peers, next);
    }
}

/* Until all is there, or nothing comes any more. */
static void drain(struct load *load, uint64_t expected)
{
    uint64_t last = now_ns(), had = load->totals.deliveries;
    while (load->totals.deliveries < expected && now_ns() < last + DRAIN_SECONDS * SECOND_NS) {
        peers_turn(load->peers, now_ns() + SECOND_NS / 10);
        if (load->totals.deliveries != had)
            last = now_ns();
        had = load->totals.deliveries;
    }
}

/* What a member should have and has not got to by now is lost, too. */
static void count_tails(struct load *load)
{
    const struct options *options = &load->options;
    for (uint32_t i = 0; i < options->members * options->rooms; i++) {
        const struct peer *peer = &load->clients[i];
        uint64_t expected = 0, seen = peer->counted;
        for (uint32_t s = 0; s < options->senders; s++) {
            expected += load->senders[peer->room * options->senders + s].sent;
            seen += peer->order[s].next;
        }
        if (seen < expected)
            load->totals.lost += expected - seen;
        else
            load->totals.duplicated += seen - expected;
    }
}

/* --- the whole --- */

static void settle(struct load *load)
{
    uint64_t until = now_ns() + SETTLE_MS * SECOND_NS / 1000;
    while (now_ns() < until)
        peers_turn(load->peers, until);
}

static struct moment take_moment(const struct load *load)
{
    struct moment moment = {.server = usage_of(load->options.pid),
                            .own = usage_of(getpid()),
                            .machine_s = machine_cpu_s()};
    for (uint32_t i = 0; i < options_clients(&load->options); i++)
        moment.sends += peer_segments_in(&load->clients[i]);
    return moment;
}

static void measure_messages(struct load *load, struct result *result)
{
    uint64_t start = now_ns();
    connect_all(load);
    result->connect_s = (double)(now_ns() - start) / 1e9;
    settle(load);
    result->connected = take_moment(load);
    start = now_ns();
    run_messages(load);
    for (uint32_t i = 0; i < load->senders_count; i++)
        result->sent += load->senders[i].sent;
    result->expected = result->sent * load->options.members;
    drain(load, result->expected);
    uint64_t end = load->totals.last_delivery_ns > start ? load->totals.last_delivery_ns : now_ns();
    result->run_s = (double)(end - start) / 1e9;
    result->at_end = take_moment(load);
    count_tails(load);
}

static void measure_storm(struct load *load, struct result *result)
{
    uint64_t start = now_ns();
    run_storm(load);
    result->connect_s = (double)(now_ns() - start) / 1e9;
    result->connected = result->at_end = take_moment(load);
}

/* --- the report --- */

static double per(double count, double of)
{
    return of > 0 ? count / of : 0;
}

struct figure {
    const char *key, *unit;
    double value;
    int decimals;
    bool known;
};

static void print_json(const char *name, const struct figure *figures, size_t count)
{
    printf("{\"name\":\"%s\"", name);
    for (size_t i = 0; i < count; i++) {
        printf(",\"%s\":", figures[i].key);
        if (figures[i].known)
            printf("%.*f", figures[i].decimals, figures[i].value);
        else
            printf("null");
    }
    printf("}\n");
    fflush(stdout);
}

static void print_table(const char *name, const struct figure *figures, size_t count)
{
    fprintf(stderr, "%s\n", name);
    for (size_t i = 0; i < count; i++)
        if (figures[i].known)
            fprintf(stderr, "  %-28s %14.*f %s\n", figures[i].key, figures[i].decimals,
                    figures[i].value, figures[i].unit);
}

static double cpu(const struct usage *usage)
{
    return usage->user_s + usage->system_s;
}

static void report(const struct load *load, const struct result *r)
{
    const struct options *o = &load->options;
    const struct totals *t = &load->totals;
    const struct histogram *h = &load->latency;
    const struct moment *from = o->storm ? &r->at_start : &r->connected, *to = &r->at_end;
    double run_cpu = cpu(&to->server) - cpu(&from->server);
    double own_cpu = cpu(&to->own) - cpu(&from->own);
    double other_cpu = to->machine_s - from->machine_s - run_cpu - own_cpu;
    double sends = to->sends > from->sends ? (double)(to->sends - from->sends) : 0;
    double connect_cpu = cpu(&r->connected.server) - cpu(&r->at_start.server);
    double grown = (double)r->connected.server.rss_bytes - (double)r->at_start.server.rss_bytes;
    bool server = r->at_start.server.known && to->server.known, messages = t->deliveries != 0;
    const struct figure figures[] = {
        {"members", "in each room", o->members, 0, true},
        {"rooms", "", o->rooms, 0, true},
        {"senders", "in each room", o->storm ? 0 : o->senders, 0, true},
        {"idle", "clients", o->idle, 0, true},
        {"connects", "", (double)t->opened, 0, true},
        {"connect_failures", "", (double)t->failed, 0, true},
        {"connects_per_s", "/s", per((double)t->opened, r->connect_s), 0, true},
        {"connects_per_cpu_s", "/CPU s", per((double)t->opened, connect_cpu), 0, server},
        {"sent", "messages", (double)r->sent, 0, true},
        {"deliveries", "", (double)t->deliveries, 0, true},
        {"deliveries_per_s", "/s", per((double)t->deliveries, r->run_s), 0, messages},
        {"deliveries_per_cpu_s", "/CPU s", per((double)t->deliveries, run_cpu), 0,
         server && messages},
        {"us_per_delivery", "CPU us", per(run_cpu * 1e6, (double)t->deliveries), 3,
         server && messages},
        {"messages_per_send", "", per((double)t->deliveries, sends), 2, messages},
        {"us_per_send", "CPU us", per(run_cpu * 1e6, sends), 3, server && messages},
        {"latency_p50_us", "us", (double)histogram_quantile(h, 0.5) / 1e3, 0, h->count != 0},
        {"latency_p95_us", "us", (double)histogram_quantile(h, 0.95) / 1e3, 0, h->count != 0},
        {"latency_p99_us", "us", (double)histogram_quantile(h, 0.99) / 1e3, 0, h->count != 0},
        {"latency_max_us", "us", (double)h->max_ns / 1e3, 0, h->count != 0},
        {"lost", "", (double)t->lost, 0, true},
        {"duplicated", "", (double)t->duplicated, 0, true},
        {"out_of_order", "", (double)t->out_of_order, 0, true},
        {"unexpected", "messages", (double)t->unexpected, 0, true},
        {"closed", "by the server", (double)t->closed, 0, true},
        {"close_code", "", t->close_code, 0, t->closed != 0},
        {"server_user_s", "CPU s", to->server.user_s - from->server.user_s, 2, server},
        {"server_system_s", "CPU s", to->server.system_s - from->server.system_s, 2, server},
        {"server_rss_kb", "kB", (double)to->server.rss_bytes / 1024, 0, server},
        {"rss_per_client", "bytes", per(grown, (double)t->opened), 0, server && !o->storm},
        {"generator_cpu_s", "CPU s", own_cpu, 2, true},
        {"others_cpu_s", "CPU s, about", other_cpu > 0 ? other_cpu : 0, 2, server},
        {"run_s", "s", r->run_s, 2, !o->storm},
    };
    print_table(o->name, figures, sizeof figures / sizeof *figures);
    print_json(o->name, figures, sizeof figures / sizeof *figures);
}

int main(int argc, char **argv)
{
    struct load load = {.options = options_parse(argc, argv)};
    const struct peers_handlers handlers = {
        .on_open = on_open, .on_refused = on_refused, .on_text = on_text, .on_gone = on_gone};
    struct result result = {.sent = 0};
    signal(SIGPIPE, SIG_IGN);
    load.peers = peers_create(&load.options, &handlers, &load);
    make_clients(&load);
    result.at_start = take_moment(&load);
    if (load.options.storm)
        measure_storm(&load, &result);
    else
        measure_messages(&load, &result);
    report(&load, &result);
    free_clients(&load);
    peers_destroy(load.peers);
    const struct totals *totals = &load.totals;
    bool good = totals->lost + totals->duplicated + totals->out_of_order + totals->unexpected +
                    totals->closed + totals->failed ==
                0;
    return good ? 0 : 1;
}
