#!/bin/sh
# Every check of the code that is not a test. Says which one complains and goes on, so that one run
# shows all; ends with 1 when any did.
#
#     sh tests/lint/run.sh [further flags of the compiler]      from the root of the repository
#
# clang-tidy runs once for each file: in one run for several, its va_list check sees ghosts. gcc's
# analyzer looks at what serves, optimized as it is, where it understands lists; it takes a list
# head on the stack for one of the list's members, uninitialized, so that check is clang's alone.
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

# run_each <command with FILE in it> [folder...]: all sources, or those of the folders
run_each() {
    command=$1
    shift
    for source in $sources; do
        case " ${*:-${source%%/*}} " in *" ${source%%/*} "*) echo "$source" ;; esac
    done | xargs -P "$(nproc)" -I FILE sh -c "$command"
}

step 'the checks themselves' sh tests/lint/self_check.sh
step 'include direction' sh tests/lint/includes.sh
step 'banned calls' sh tests/lint/banned.sh
step 'forgotten suites' sh tests/lint/suites.sh
step 'thread safety' run_each \
    "clang $flags -fsyntax-only -Wall -Wextra -Wthread-safety -Werror FILE"
step 'gcc analyzer' run_each "gcc $flags -O2 -fanalyzer -Wno-analyzer-use-of-uninitialized-value \
    -Werror -c -o /dev/null FILE" app core handlers openapi
step 'clang-tidy' run_each "clang-tidy --quiet FILE -- $flags 2>/dev/null"
step 'cppcheck' cppcheck -j "$(nproc)" --quiet --std=c11 -D_GNU_SOURCE -I. --error-exitcode=1 --inline-suppr \
    --enable=warning,style,performance,portability \
    --suppressions-list=tests/lint/cppcheck-suppressions.txt app core handlers openapi
exit "$status"
