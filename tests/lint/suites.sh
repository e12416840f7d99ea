#!/bin/sh
# Whether each tests/unit/**/x_test.c is a suite in tests/unit/main.c, and the other way round: a
# test that nobody runs looks like one that passes. Ends with 1 when something is missing.
#
#     sh tests/lint/suites.sh [root of the repository]
set -eu
cd "${1:-.}/tests/unit"

files=$(find . -name '*_test.c' | sed 's|^\./||; s|_test\.c$||' | sort)
suites=$(sed -n 's|^ *SUITE("\([^"]*\)".*|\1|p' main.c | sort)
bad=0
for file in $files; do
    if ! printf '%s\n' "$suites" | grep -qx "$file"; then
        echo "tests/unit/main.c: there is no suite for ${file}_test.c"
        bad=1
    fi
done
for suite in $suites; do
    if ! printf '%s\n' "$files" | grep -qx "$suite"; then
        echo "tests/unit/main.c: there is no ${suite}_test.c for the suite"
        bad=1
    fi
done
exit "$bad"
