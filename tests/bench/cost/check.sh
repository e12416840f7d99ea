#!/bin/sh
# Counts the instructions of three fixed pieces of work (cost.c) under callgrind, and compares them
# with what was recorded: what makes the service slower is seen on any machine, busy or not.
#
#     sh tests/bench/cost/check.sh            ends with 1 when one costs over 5 % more than recorded
#     sh tests/bench/cost/check.sh --record   writes what it costs now to recorded.txt
#
# Each is run with two counts, and the difference is what is compared: start and end cancel out.
# Another compiler or libc has other counts: recorded.txt says which it was.
set -eu

cost=${COST_BIN:-build/bench/cost}
recorded=tests/bench/cost/recorded.txt
few=100
many=600
status=0

instructions() {
    told=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$cost" "$1" "$2" 2>&1) || {
        printf 'bench-check: %s does not run under callgrind:\n%s\n' "$1" "$told" >&2
        exit 2
    }
    printf '%s\n' "$told" | sed -n 's/.*Collected : //p'
}

# For one message or handshake.
measure() {
    from=$(instructions "$1" $few) || exit 2
    to=$(instructions "$1" $many) || exit 2
    echo $(((to - from) / (many - few)))
}

compare() {
    now=$(measure "$1") || exit 2
    awk -v name="$1" -v now="$now" -v before="$2" 'BEGIN {
        change = (now - before) * 100 / before
        printf "bench-check: %-9s %7d instructions, recorded %7d: %+.1f %%\n", name, now, before, change
        if (change > 5)
            print "bench-check: " name " costs more than it did. If that is worth it: make bench-record"
        if (change < -5)
            print "bench-check: " name " costs less than it did: make bench-record keeps it so"
        exit change > 5
    }' || status=1
}

if [ "${1:-}" = --record ]; then
    {
        echo "# Instructions for one of each; written by make bench-record."
        echo "# $(${CC:-cc} --version | head -1); $(ldd --version | head -1)"
        for name in fanout handshake bus; do
            count=$(measure $name) || exit 2
            echo "$name $count"
        done
    } >$recorded.new
    mv $recorded.new $recorded
    cat $recorded
    exit
fi

while read -r name before; do
    case $name in
    '#') ;;
    *) compare "$name" "$before" ;;
    esac
done <$recorded
exit $status
