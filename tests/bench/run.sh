#!/bin/sh
# Measures build/chat-api beside a server that only makes the system calls (baseline.c), scenario by
# scenario in turn, and prints a table. README.md says how to read it. From the root:
#
#     sh tests/bench/run.sh [scenario...]        all of them unless named
#
#     BENCH_THREADS   CONNECTION_THREADS of the server   (1: the generator needs a core, too)
#     BENCH_SECONDS   of each measurement                (5)
#     BENCH_ROUNDS    rounds; the table has the medians  (3)
#     BUILD           the build folder                   (build)
#     CHAT_API_BIN    the server                         ($BUILD/chat-api)
#
# Every measurement stays in $BUILD/bench/results.jsonl. Ends with 1 when a message was lost, came
# twice or out of order, or a client was thrown out.
set -eu

threads=${BENCH_THREADS:-1}
seconds=${BENCH_SECONDS:-5}
rounds=${BENCH_ROUNDS:-3}
build=${BUILD:-build}
out=$build/bench
bin=${CHAT_API_BIN:-$build/chat-api}
results=$out/results.jsonl
scenarios=${*:-latency busy burst rooms idle storm}
server=
status=0

[ -x "$bin" ] || {
    echo "run.sh: no $bin: run make first" >&2
    exit 2
}
ulimit -n "$(ulimit -Hn)"
# Descriptors of the server that are no clients are few, but it keeps some in reserve.
descriptors=$(ulimit -n)
[ "$descriptors" = unlimited ] && descriptors=1000000
idle=$((descriptors - 1000))
[ "$idle" -gt 10000 ] && idle=10000

compile() {
    program=$1
    shift
    ${CC:-cc} -std=gnu17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -I. -o "$out/$program" "$@"
}

stop_server() {
    [ -z "$server" ] && return
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}

# Sets `port` to what `read_port` prints, once it prints something.
await_port() {
    tries=0
    port=
    while [ -z "$port" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ]; then
            echo "run.sh: the server does not start; see $out/server.log" >&2
            exit 1
        fi
        sleep 0.1
        port=$("$1")
    done
}

chat_api_port() {
    sed -n 's/.*"server:listening".*"port":\([0-9]*\).*/\1/p' "$out/server.log"
}

baseline_port() {
    cat "$out/server.log"
}

start_server() {
    : >"$out/server.log"
    if [ "$1" = chat-api ]; then
        HOST=127.0.0.1 PORT=0 REDIS_URL='' AUTH_ENABLED=false CONNECTION_THREADS=$threads \
            "$bin" 2>"$out/server.log" &
        server=$!
        await_port chat_api_port
    else
        "$out/baseline" gather >"$out/server.log" &
        server=$!
        await_port baseline_port
    fi
}

# measure chat-api|baseline SCENARIO [options of fanout...]
measure() {
    kind=$1
    name=$2
    shift 2
    start_server "$kind"
    if "$out/fanout" --url "127.0.0.1:$port" --pid "$server" --name "$name $kind" \
        --seconds "$seconds" "$@" >"$out/last.json" 2>"$out/last.txt"; then
        printf '.' >&2
    else
        echo >&2
        echo "run.sh: $name $kind: something went wrong:" >&2
        cat "$out/last.txt" >&2
        status=1
    fi
    cat "$out/last.json" >>"$results"
    stop_server
}

both() {
    measure chat-api "$@"
    measure baseline "$@"
}

run_scenario() {
    case $1 in
    latency) both latency --members 1000 --senders 1 --rate 20 ;;
    busy) both busy --members 1000 --senders 10 --rate 100 ;;
    burst) both burst --members 1000 --senders 8 --burst 24 ;;
    rooms) both rooms --rooms 100 --members 10 --senders 1 --rate 100 ;;
    idle) measure chat-api idle --members 0 --senders 0 --idle "$idle" ;;
    storm) both storm --storm --rooms 100 --members 1 ;;
    *)
        echo "run.sh: no scenario $1: latency busy burst rooms idle storm" >&2
        exit 2
        ;;
    esac
}

# The figures are flat JSON: a line a measurement, no comma or colon inside a value.
print_table() {
    awk -v threads="$threads" -v all_rounds="$rounds" '
    function median(list, count,    i, j, swap) {
        for (i = 2; i <= count; i++)
            for (j = i; j > 1 && list[j] < list[j - 1]; j--) {
                swap = list[j]
                list[j] = list[j - 1]
                list[j - 1] = swap
            }
        return (list[int((count + 1) / 2)] + list[int(count / 2) + 1]) / 2
    }

    function of(name, key,    i, count, list) {
        for (i = 1; i <= rounds[name]; i++)
            if (value[name, key, i] != "null")
                list[++count] = value[name, key, i] + 0
        return count ? median(list, count) : ""
    }

    # Each round has its own: what the machine did to one it did to the other.
    function ratio(scenario, key,    i, count, list, ours, bare) {
        for (i = 1; i <= rounds[scenario " chat-api"]; i++) {
            ours = value[scenario " chat-api", key, i] + 0
            bare = value[scenario " baseline", key, i] + 0
            if (ours > 0 && bare > 0)
                list[++count] = ours / bare
        }
        return count ? sprintf("%.2f", median(list, count)) : ""
    }

    # Of all rounds: one is one too many.
    function faults(name,    i, sum) {
        for (i = 1; i <= rounds[name]; i++)
            sum += value[name, "lost", i] + value[name, "duplicated", i] \
                + value[name, "out_of_order", i] + value[name, "closed", i]
        return sum
    }

    {
        gsub(/[{}"]/, "")
        count = split($0, pairs, ",")
        split(pairs[1], pair, ":")
        name = pair[2]
        if (!(name in rounds))
            names[++names_count] = name
        round = ++rounds[name]
        for (i = 2; i <= count; i++) {
            split(pairs[i], pair, ":")
            value[name, pair[1], round] = pair[2]
        }
    }

    END {
        printf "\nCONNECTION_THREADS=%d, medians of %d rounds\n", threads, all_rounds
        printf "%-17s %13s %10s %7s %7s %8s %8s %8s %6s %6s %6s\n", "", "deliveries", \
            "per CPU s", "msg/snd", "us/snd", "p50 us", "p99 us", "max us", "faults", "gen s", \
            "others"
        for (n = 1; n <= names_count; n++) {
            name = names[n]
            if (name ~ /^(idle|storm) /)
                continue
            printf "%-17s %11d/s %10d %7.1f %7.2f %8d %8d %8d %6d %6.2f %6.2f\n", name, \
                of(name, "deliveries_per_s"), of(name, "deliveries_per_cpu_s"), \
                of(name, "messages_per_send"), of(name, "us_per_send"), \
                of(name, "latency_p50_us"), \
                of(name, "latency_p99_us"), of(name, "latency_max_us"), faults(name), \
                of(name, "generator_cpu_s"), of(name, "others_cpu_s")
        }
        printf "\nCPU per send of chat-api over that of the bare system calls:\n"
        for (n = 1; n <= names_count; n++) {
            scenario = names[n]
            if (sub(/ chat-api$/, "", scenario) && ratio(scenario, "us_per_send") != "")
                printf "  %-10s %s\n", scenario, ratio(scenario, "us_per_send")
        }
        if ("idle chat-api" in rounds)
            printf "\nidle: %d clients, %d bytes resident each, %d kB in all\n", \
                of("idle chat-api", "idle"), of("idle chat-api", "rss_per_client"), \
                of("idle chat-api", "server_rss_kb")
        if ("storm chat-api" in rounds)
            printf "storm: %d joins/s, %d per CPU s (bare: %d/s, %d per CPU s)\n", \
                of("storm chat-api", "connects_per_s"), \
                of("storm chat-api", "connects_per_cpu_s"), \
                of("storm baseline", "connects_per_s"), \
                of("storm baseline", "connects_per_cpu_s")
    }' "$results"
}

mkdir -p "$out"
: >"$results"
trap stop_server EXIT
trap 'exit 1' INT TERM
compile fanout tests/bench/fanout.c tests/bench/peer.c tests/bench/meter.c tests/bench/options.c
compile baseline tests/bench/baseline.c
round=0
while [ "$round" -lt "$rounds" ]; do
    for scenario in $scenarios; do
        run_scenario "$scenario"
    done
    round=$((round + 1))
done
echo >&2
print_table
exit "$status"
