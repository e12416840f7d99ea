/*
 * Many WebSocket clients in one thread, to measure how a chat server fans out (README.md).
 *
 *     connect all ─▶ probe ─▶ warm up ─▶ measure ─▶ wait for what is under way ─▶ report ─▶ RST
 *
 * Ends with 0 when all came as it should, 1 when something was lost, doubled, out of order or
 * thrown out, 2 when the options are wrong, 3 when there is no measurement at all.
 */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/load/ledger.h"
#include "tests/bench/load/meter.h"
#include "tests/bench/load/must.h"
#include "tests/bench/load/options.h"
#include "tests/bench/load/peer.h"
#include "tests/bench/load/report.h"
#include "tests/bench/load/traffic.h"

#define SECOND_NS UINT64_C(1000000000)
#define MS_NS     UINT64_C(1000000)
#define STALL_AT  0.4 /* of the time that is measured */

enum {
    CONNECT_SECONDS = 180,
    PROBE_SECONDS = 10,
    DRAIN_SECONDS = 3,      /* without any delivery */
    DRAIN_MAX_SECONDS = 20, /* what is not there by then passes for lost */
    SETTLE_MS = 300,        /* before memory is read */
    GATE_MS = 20,
    REFUSED_MAX = 1000 /* connects that fail before it gives up */
};

/* What happens at a moment of its own while it runs. */
struct agenda {
    uint64_t measure_ns, stall_ns, resume_ns, churn_ns, end_ns;
};

struct load {
    struct options options;
    struct peers *peers;
    struct peer *clients;
    struct traffic traffic;
    struct ledger ledger;
    struct result result;
    struct agenda agenda;
    uint32_t next_client; /* the first that has not begun to connect */
    uint32_t under_way;   /* connects */
    uint32_t next_churner;
};

/* --- what the clients tell --- */

static void on_text(void *arg, struct peer *peer, const char *text, size_t len, bool compressed)
{
    struct load *load = arg;
    struct stamp stamp;
    if (peer->role != PEER_MEMBER)
        return;
    if (compressed)
        ledger_book_compressed(&load->ledger, peer, len);
    else if (ledger_book(&load->ledger, peer, text, len, load->peers->read_ns, &stamp) &&
             !peer->deflate)
        traffic_arrived(&load->traffic, peer->room, stamp.sender, stamp.number);
}

static void begin_connect(struct load *load, struct peer *peer)
{
    if (!peer_connect(load->peers, peer))
        give_up_errno("connect");
    load->under_way++;
}

static void on_open(void *arg, struct peer *peer)
{
    struct load *load = arg;
    load->under_way--;
    load->result.opened++;
    if (load->options.storm) {
        peer_close(peer);
        begin_connect(load, peer);
    }
}

static void on_refused(void *arg, struct peer *peer)
{
    struct load *load = arg;
    load->under_way--;
    if (++load->result.refused > REFUSED_MAX)
        give_up("too many connects fail");
    begin_connect(load, peer);
}

static void on_gone(void *arg, struct peer *peer, unsigned code)
{
    struct load *load = arg;
    struct result *result = &load->result;
    bool slow = peer->role == PEER_SLOW;
    unsigned *first_code = slow ? &result->slow_close_code : &result->close_code;
    *(slow ? &result->slow_closed : &result->closed) += 1;
    if (*first_code == 0)
        *first_code = code;
}

/* --- clients --- */

static enum peer_role role_of(const struct options *options, uint32_t client)
{
    if (client >= options->members * options->rooms)
        return PEER_CHURNER;
    return client % options->members >= options_watched(options) ? PEER_SLOW : PEER_MEMBER;
}

static void make_clients(struct load *load)
{
    const struct options *options = &load->options;
    uint32_t members = options->members * options->rooms;
    load->clients = must_allocate(options_clients(options), sizeof *load->clients);
    for (uint32_t i = 0; i < options_clients(options); i++) {
        enum peer_role role = role_of(options, i);
        load->clients[i] = (struct peer){
            .fd = -1,
            .number = i,
            .role = role,
            .room = role == PEER_CHURNER ? (i - members) % options->rooms : i / options->members,
            .deflate =
                options->deflate && role == PEER_MEMBER && i % options->members >= options->senders,
        };
    }
    load->next_churner = members;
}

static void free_clients(struct load *load)
{
    for (uint32_t i = 0; i < options_clients(&load->options); i++)
        peer_close(&load->clients[i]);
    free(load->clients);
}

static void connect_some(struct load *load)
{
    uint32_t total = options_clients(&load->options);
    while (load->next_client < total && load->under_way < load->options.parallel)
        begin_connect(load, &load->clients[load->next_client++]);
    peers_turn(load->peers, now_ns() + SECOND_NS / 10);
}

static void connect_all(struct load *load)
{
    uint64_t deadline = now_ns() + CONNECT_SECONDS * SECOND_NS;
    while (load->result.opened < options_clients(&load->options)) {
        connect_some(load);
        if (now_ns() > deadline)
            give_up("connecting takes too long");
    }
}

static void pause_slow(struct load *load, bool paused)
{
    for (uint32_t i = 0; i < options_clients(&load->options); i++)
        if (load->clients[i].role == PEER_SLOW)
            peer_pause(load->peers, &load->clients[i], paused);
}

/* --- measuring --- */

static struct moment take_moment(const struct load *load)
{
    const struct options *options = &load->options;
    struct moment moment = {.helper = usage_of(options->helper_pid),
                            .own = usage_of(getpid()),
                            .machine_s = machine_cpu_s(),
                            .deliveries = load->ledger.totals.deliveries,
                            .bytes = load->ledger.totals.bytes};
    moment.server.known = options->pids_count != 0;
    for (unsigned i = 0; i < options->pids_count; i++) {
        struct usage one = usage_of(options->pids[i]);
        usage_add(&moment.server, &one);
        if (one.wanted_s > moment.busiest_server_s)
            moment.busiest_server_s = one.wanted_s;
    }
    for (uint32_t i = 0; i < options_clients(options); i++)
        moment.sends += peer_segments_in(&load->clients[i]);
    moment.time_ns = now_ns();
    return moment;
}

static void settle(struct load *load)
{
    uint64_t until = now_ns() + SETTLE_MS * MS_NS;
    while (now_ns() < until)
        peers_turn(load->peers, until);
}

/* Learns how long a message becomes, to make it as long as it should be. */
static void probe(struct load *load)
{
    uint64_t until = now_ns() + PROBE_SECONDS * SECOND_NS;
    traffic_probe(&load->traffic);
    while (load->ledger.message_len == 0) {
        peers_turn(load->peers, until);
        if (now_ns() >= until)
            give_up("the server does not answer a message");
    }
    traffic_fit(&load->traffic, load->ledger.message_len);
    settle(load); /* the other members' copies are not to be taken for messages */
    if (load->ledger.message_len < load->options.size)
        load->ledger.message_len = load->options.size;
}

static void signal_servers(const struct load *load, int number)
{
    for (unsigned i = 0; i < load->options.pids_count; i++)
        kill(load->options.pids[i], number);
}

static void begin_measuring(struct load *load)
{
    const struct options *options = &load->options;
    struct agenda *agenda = &load->agenda;
    uint64_t length = (uint64_t)(options->seconds * 1e9);
    load->result.from = take_moment(load);
    uint64_t now = now_ns();
    agenda->measure_ns = UINT64_MAX;
    agenda->end_ns = now + length;
    if (options->stall_ms != 0)
        agenda->stall_ns = now + (uint64_t)(STALL_AT * (double)length);
    load->ledger.from_ns = now;
    load->ledger.to_ns = agenda->end_ns;
}

static void churn(struct load *load, uint64_t now)
{
    const struct options *options = &load->options;
    struct peer *peer = &load->clients[load->next_churner];
    if (peer->state == PEER_OPEN) {
        peer_close(peer);
        begin_connect(load, peer);
    }
    if (++load->next_churner == options_clients(options))
        load->next_churner = options->members * options->rooms;
    load->agenda.churn_ns = now + SECOND_NS / options->churn;
}

/* Does what is due; returns when something is due next. */
static uint64_t follow_agenda(struct load *load, uint64_t now)
{
    struct agenda *agenda = &load->agenda;
    if (now >= agenda->measure_ns)
        begin_measuring(load);
    if (now >= agenda->stall_ns) {
        signal_servers(load, SIGSTOP);
        agenda->stall_ns = UINT64_MAX;
        agenda->resume_ns = now + load->options.stall_ms * MS_NS;
    }
    if (now >= agenda->resume_ns) {
        signal_servers(load, SIGCONT);
        agenda->resume_ns = UINT64_MAX;
    }
    if (now >= agenda->churn_ns)
        churn(load, now);
    uint64_t next = agenda->end_ns;
    const uint64_t times[] = {agenda->measure_ns, agenda->stall_ns, agenda->resume_ns,
                              agenda->churn_ns};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        next = times[i] < next ? times[i] : next;
    return next;
}

static void run(struct load *load)
{
    const struct options *options = &load->options;
    uint64_t now = now_ns();
    load->agenda = (struct agenda){.measure_ns = now + (uint64_t)(options->warmup * 1e9),
                                   .stall_ns = UINT64_MAX,
                                   .resume_ns = UINT64_MAX,
                                   .churn_ns = options->churn != 0 ? now : UINT64_MAX,
                                   .end_ns = UINT64_MAX};
    traffic_start(&load->traffic, now);
    for (; now < load->agenda.end_ns; now = now_ns()) {
        uint64_t next = follow_agenda(load, now), due = traffic_send(&load->traffic, now);
        peers_turn(load->peers, due < next ? due : next);
    }
    load->result.to = take_moment(load);
    load->result.sent = traffic_sent(&load->traffic);
}

/* Until all is there, or nothing comes any more. */
static void drain(struct load *load)
{
    const uint64_t *deliveries = &load->ledger.totals.deliveries;
    uint64_t start = now_ns(), last = start, had = *deliveries;
    uint64_t end = start + DRAIN_MAX_SECONDS * SECOND_NS;
    uint64_t expected = load->result.sent * options_watched(&load->options);
    while (*deliveries < expected && now_ns() < last + DRAIN_SECONDS * SECOND_NS &&
           now_ns() < end) {
        peers_turn(load->peers, now_ns() + SECOND_NS / 10);
        if (*deliveries != had)
            last = now_ns();
        had = *deliveries;
    }
    load->result.drained = take_moment(load);
    if (load->options.slow != 0) {
        pause_slow(load, false);
        settle(load);
    }
    for (uint32_t i = 0; i < options_clients(&load->options); i++)
        if (load->clients[i].role == PEER_MEMBER)
            ledger_close(&load->ledger, &load->clients[i],
                         traffic_sent_in(&load->traffic, load->clients[i].room));
}

static void run_storm(struct load *load)
{
    uint64_t end = now_ns() + (uint64_t)(load->options.seconds * 1e9);
    load->result.connected = load->result.rested = load->result.from = load->result.at_start;
    while (now_ns() < end)
        connect_some(load);
    load->result.to = load->result.drained = take_moment(load);
}

/* The clients go on answering pings meanwhile, here and at the gate. */
static void rest(struct load *load)
{
    uint64_t until = now_ns() + (uint64_t)(load->options.rest * 1e9);
    while (now_ns() < until)
        peers_turn(load->peers, until);
    load->result.rested = take_moment(load);
}

static void wait_at_gate(const struct load *load)
{
    struct pollfd gate = {.fd = STDIN_FILENO, .events = POLLIN};
    if (!load->options.gate)
        return;
    fprintf(stderr, "load: connected\n");
    while (poll(&gate, 1, 0) == 0)
        peers_turn(load->peers, now_ns() + GATE_MS * MS_NS);
}

static void measure(struct load *load)
{
    load->result.at_start = take_moment(load);
    if (load->options.storm) {
        run_storm(load);
        return;
    }
    connect_all(load);
    settle(load);
    load->result.connected = take_moment(load);
    rest(load);
    load->result.from = load->result.to = load->result.drained = load->result.rested;
    wait_at_gate(load);
    if (load->options.senders == 0)
        return;
    probe(load);
    pause_slow(load, true);
    run(load);
    drain(load);
}

int main(int argc, char **argv)
{
    static struct load load;
    const struct peers_handlers handlers = {
        .on_open = on_open, .on_refused = on_refused, .on_text = on_text, .on_gone = on_gone};
    load.options = options_parse(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    load.peers = peers_create(&load.options, &handlers, &load);
    make_clients(&load);
    ledger_init(&load.ledger, &load.options);
    traffic_init(&load.traffic, &load.options, load.peers, load.clients);
    measure(&load);
    report(&load.options, &load.result, &load.ledger);
    const struct ledger_totals *totals = &load.ledger.totals;
    bool good = totals->lost + totals->duplicated + totals->out_of_order + totals->unexpected +
                    load.result.closed + load.result.refused ==
                0;
    free_clients(&load);
    traffic_fini(&load.traffic);
    ledger_fini(&load.ledger);
    peers_destroy(load.peers);
    return good ? 0 : 1;
}
