#include "tests/bench/load/report.h"

#include <stdio.h>

/* From here on a core is as good as busy: what is left goes into waking up. */
#define BUSY 0.9

struct figure {
    const char *key, *unit;
    double value;
    int decimals;
    bool known;
};

static double per(double count, double of)
{
    return of > 0 ? count / of : 0;
}

static double seconds_between(const struct moment *from, const struct moment *to)
{
    return (double)(to->time_ns - from->time_ns) / 1e9;
}

/* What other programs had of the machine. */
static double others_s(const struct moment *from, const struct moment *to)
{
    const struct usage server = usage_between(&from->server, &to->server);
    const struct usage helper = usage_between(&from->helper, &to->helper);
    const struct usage own = usage_between(&from->own, &to->own);
    double others = to->machine_s - from->machine_s - server.cpu_s - helper.cpu_s - own.cpu_s;
    return others > 0 ? others : 0;
}

/*
 * Who was at the end of its strength. Of two that are, it is the one that wanted more of its core;
 * where that is the generator, the rate is its own and says nothing of the server.
 */
static const char *limit_of(double generator, double server)
{
    if (generator > BUSY && generator > server)
        return "generator";
    return server > BUSY ? "server" : "none";
}

static void print_json(const char *name, const char *limit, const struct figure *figures,
                       size_t count)
{
    printf("{\"name\":\"%s\",\"limit\":\"%s\"", name, limit);
    for (size_t i = 0; i < count; i++) {
        printf(",\"%s\":", figures[i].key);
        if (figures[i].known)
            printf("%.*f", figures[i].decimals, figures[i].value);
        else
            printf("null");
    }
}

/* For whoever adds up several generators. */
static void print_histogram(const struct histogram *histogram)
{
    const char *comma = "";
    printf(",\"histogram_us\":[");
    for (unsigned i = 0; i < METER_BUCKETS; i++) {
        if (histogram->buckets[i] == 0)
            continue;
        printf("%s[%.1f,%llu]", comma, (double)histogram_bucket_end(i) / 1e3,
               (unsigned long long)histogram->buckets[i]);
        comma = ",";
    }
    printf("]}\n");
    fflush(stdout);
}

static void print_table(const char *name, const char *limit, const struct figure *figures,
                        size_t count)
{
    fprintf(stderr, "%s (limit: %s)\n", name, limit);
    for (size_t i = 0; i < count; i++)
        if (figures[i].known)
            fprintf(stderr, "  %-26s %14.*f %s\n", figures[i].key, figures[i].decimals,
                    figures[i].value, figures[i].unit);
}

static void print(const struct options *options, const struct ledger *ledger, const char *limit,
                  const struct figure *figures, size_t count)
{
    print_table(options->name, limit, figures, count);
    print_json(options->name, limit, figures, count);
    print_histogram(&ledger->latency);
}

struct sums {
    struct usage server, helper, own;
    double run_s, connect_s, connect_cpu_s;
    double deliveries, in_time, bytes, sends;
    double grown_bytes, others_s, own_share, server_share;
};

static double sends_between(const struct moment *from, const struct moment *to)
{
    /* Who was thrown out took his count along. */
    return to->sends > from->sends ? (double)(to->sends - from->sends) : 0;
}

static struct sums sum_up(const struct options *options, const struct result *r)
{
    const struct moment *from = &r->from, *to = &r->to, *end = &r->drained;
    const struct usage joining = usage_between(&r->at_start.server, &r->connected.server);
    struct sums sums = {
        /* What a delivery costs is told of all that were paid for: a generator that other programs
         * kept from reading would find each of the few that it read dear. */
        .server = usage_between(&from->server, &end->server),
        .helper = usage_between(&from->helper, &end->helper),
        .deliveries = (double)(end->deliveries - from->deliveries),
        .bytes = (double)(end->bytes - from->bytes),
        .sends = sends_between(from, end),
        .own = usage_between(&from->own, &to->own),
        .run_s = seconds_between(from, to),
        .in_time = (double)(to->deliveries - from->deliveries),
        .others_s = others_s(from, to),
        .connect_s = seconds_between(&r->at_start, options->storm ? to : &r->connected),
        .grown_bytes = (double)r->rested.server.rss_bytes - (double)r->at_start.server.rss_bytes,
    };
    sums.connect_cpu_s = options->storm ? sums.server.cpu_s : joining.cpu_s;
    sums.own_share = per(sums.own.wanted_s, sums.run_s);
    sums.server_share = per(to->busiest_server_s - from->busiest_server_s, sums.run_s);
    return sums;
}

void report(const struct options *o, const struct result *r, const struct ledger *ledger)
{
    const struct ledger_totals *t = &ledger->totals;
    const struct histogram *h = &ledger->latency;
    const struct sums s = sum_up(o, r);
    bool messages = s.deliveries > 0, known = s.server.known, late = h->count != 0;
    const struct figure figures[] = {
        {"rooms", "", o->rooms, 0, true},
        {"members", "in each room", o->members, 0, true},
        {"senders", "in each room", o->senders, 0, true},
        {"connects", "", (double)r->opened, 0, true},
        {"refused", "connects", (double)r->refused, 0, true},
        {"connects_per_s", "/s", per((double)r->opened, s.connect_s), 0, true},
        {"cpu_us_per_connect", "CPU us", per(s.connect_cpu_s * 1e6, (double)r->opened), 2, known},
        {"rss_per_client", "bytes", per(s.grown_bytes, (double)r->opened), 0, known && !o->storm},
        {"message_bytes", "", per(s.bytes, s.deliveries), 0, messages},
        {"sent", "messages", (double)r->sent, 0, true},
        {"deliveries", "", s.deliveries, 0, true},
        {"deliveries_per_s", "/s", per(s.in_time, s.run_s), 0, messages},
        {"cpu_s_per_million", "CPU s", per(s.server.cpu_s * 1e6, s.deliveries), 4,
         known && messages},
        {"helper_s_per_million", "CPU s", per(s.helper.cpu_s * 1e6, s.deliveries), 4,
         s.helper.known && messages},
        {"messages_per_send", "", per(s.deliveries, s.sends), 2, messages},
        {"cpu_us_per_send", "CPU us", per(s.server.cpu_s * 1e6, s.sends), 3, known && messages},
        {"p50_us", "us", (double)histogram_quantile(h, 0.5) / 1e3, 0, late},
        {"p99_us", "us", (double)histogram_quantile(h, 0.99) / 1e3, 0, late},
        {"p999_us", "us", (double)histogram_quantile(h, 0.999) / 1e3, 0, late},
        {"max_us", "us", (double)h->max_ns / 1e3, 0, late},
        {"lost", "", (double)t->lost, 0, true},
        {"duplicated", "", (double)t->duplicated, 0, true},
        {"out_of_order", "", (double)t->out_of_order, 0, true},
        {"unexpected", "messages", (double)t->unexpected, 0, true},
        {"closed", "by the server", (double)r->closed, 0, true},
        {"close_code", "", r->close_code, 0, r->closed != 0},
        {"slow_closed", "of the slow ones", (double)r->slow_closed, 0, o->slow != 0},
        {"slow_close_code", "", r->slow_close_code, 0, r->slow_closed != 0},
        {"server_user_s", "CPU s", s.server.user_s, 2, known},
        {"server_system_s", "CPU s", s.server.system_s, 2, known},
        {"server_share", "of a core, wanted", s.server_share, 2, known},
        {"server_rss_kb", "kB", (double)s.server.rss_bytes / 1024, 0, known},
        {"generator_cpu_s", "CPU s", s.own.cpu_s, 2, true},
        {"generator_share", "of a core, wanted", s.own_share, 2, true},
        {"others_cpu_s", "CPU s, about", s.others_s, 2, known},
        {"run_s", "s", s.run_s, 2, true},
    };
    print(o, ledger, limit_of(s.own_share, s.server_share), figures,
          sizeof figures / sizeof *figures);
}
