#!/bin/sh
# Every check of the code that is not a test. Says which one complains and goes on, so that one run
# shows all; ends with 1 when any did.
#
#     sh tests/lint/run.sh [further flags of the compiler]      from the root of the repository
#
# clang-tidy runs once for each file: in one run for several, its va_list check sees ghosts.
set -eu

flags="-std=gnu17 -D_GNU_SOURCE -I. $*"
sources=$(find app core handlers openapi tests -name node_modules -prune -o -name '*.c' -print | sort)
status=0

step() {
    name=$1
    shift
    echo "lint: $name"
    "$@" || {
        echo "lint: $name complains"
        status=1
    }
}

run_each() {
    printf '%s\n' $sources | xargs -P "$(nproc)" -I FILE sh -c "$1"
}

step 'the checks themselves' sh tests/lint/self_check.sh
step 'include direction' sh tests/lint/includes.sh
step 'banned calls' sh tests/lint/banned.sh
step 'forgotten suites' sh tests/lint/suites.sh
step 'thread safety' run_each \
    "clang $flags -fsyntax-only -Wall -Wextra -Wthread-safety -Werror FILE"
step 'clang-tidy' run_each "clang-tidy --quiet FILE -- $flags 2>/dev/null"
step 'cppcheck' cppcheck --quiet --std=c11 -D_GNU_SOURCE -I. --error-exitcode=1 --inline-suppr \
    --enable=warning,style,performance,portability \
    --suppressions-list=tests/lint/cppcheck-suppressions.txt app core handlers openapi
exit "$status"
