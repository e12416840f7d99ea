#!/bin/sh
# Whether the checks of this folder can fail: each is given a small tree with one offence at a time,
# which it must report, and one without, which it must pass.
#
#     sh tests/lint/self_check.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
passed=0
failed=0

fresh_tree() {
    rm -rf "$tree"
    mkdir -p "$tree/app" "$tree/handlers" "$tree/openapi" "$tree/tests/unit/core/base"
    for module in base auth limit net ws bus chat; do
        mkdir -p "$tree/core/$module"
        echo "int $module;" >"$tree/core/$module/$module.h"
    done
    echo 'int page;' >"$tree/handlers/page.h"
    echo '    SUITE("core/base/x", x_tests)' >"$tree/tests/unit/main.c"
    echo 'int x;' >"$tree/tests/unit/core/base/x_test.c"
}

count() {
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "self_check: $2"
    fi
}

# refuses <check> <file> <line of code>: the check must complain about the file.
refuses() {
    fresh_tree
    printf '%s\n' "$3" >"$tree/$2"
    if output=$(sh "$here/$1" "$tree" 2>&1); then
        count 1 "$1 passes '$3' in $2"
    else
        case $output in
        *"${2#tests/unit/}"*) count 0 ;;
        *) count 1 "$1 fails on '$3' in $2, but for another reason: $output" ;;
        esac
    fi
}

# passes <check> <file> <line of code>
passes() {
    fresh_tree
    printf '%s\n' "$3" >"$tree/$2"
    if output=$(sh "$here/$1" "$tree" 2>&1); then
        count 0
    else
        count 1 "$1 refuses '$3' in $2: $output"
    fi
}

passes includes.sh core/chat/a.c '#include "core/ws/ws.h"'
passes includes.sh core/chat/chat.c '#include "core/chat/chat.h"'
passes includes.sh core/bus/a.c '#include <hiredis/hiredis.h>'
passes includes.sh core/ws/a.c '#include <zlib.h>'
passes includes.sh app/a.c '#include "handlers/page.h"'
passes includes.sh core/base/a.c '#include <string.h>'
passes includes.sh core/auth/a.c '#include <jansson.h>'
passes includes.sh core/auth/a.c '#include <openssl/evp.h>'
passes includes.sh core/chat/a.c '#include "core/auth/auth.h"'
passes includes.sh handlers/a.c '#include "core/limit/limit.h"'
refuses includes.sh core/base/a.c '#include "core/net/net.h"'
refuses includes.sh core/net/a.c '#include "core/ws/ws.h"'
refuses includes.sh core/ws/a.c '#include "core/net/net.h"'
refuses includes.sh core/chat/a.c '#include "core/bus/bus.h"'
refuses includes.sh core/bus/a.c '#include "core/chat/chat.h"'
refuses includes.sh core/auth/a.c '#include "core/chat/chat.h"'
refuses includes.sh core/auth/a.c '#include "core/limit/limit.h"'
refuses includes.sh core/limit/a.c '#include "core/auth/auth.h"'
refuses includes.sh core/bus/a.c '#include "core/auth/auth.h"'
refuses includes.sh core/chat/a.c '#include <openssl/evp.h>'
refuses includes.sh core/chat/a.c '#include "handlers/page.h"'
refuses includes.sh core/chat/a.c '#include "chat.h"'
refuses includes.sh core/chat/a.c '#include "core/chat/none.h"'
refuses includes.sh core/chat/chat.c '#include <string.h>'
refuses includes.sh core/chat/a.c '#  include <microhttpd.h>'
refuses includes.sh core/chat/a.c '#include <zlib.h>'
refuses includes.sh handlers/a.c '#include <wslay/wslay.h>'
refuses includes.sh handlers/a.c '#include <hiredis/hiredis.h>'
refuses includes.sh handlers/a.c '#include <yajl/yajl_parse.h>'
refuses includes.sh core/chat/a.c '#include <jansson.h>'
refuses includes.sh app/a.c '#include <CUnit/Basic.h>'

passes banned.sh core/base/a.c 'int n = snprintf(a, b, "%s", c);'
passes banned.sh core/base/a.c '/* sprintf(a) and volatile */ const char *s = "atoi(x) \" gets(";'
passes banned.sh core/base/a.c 'my_strcpy(a); // getenv("A")'
passes banned.sh app/config.c 'getenv("A");'
passes banned.sh core/net/a.c 'nanosleep(&t, NULL);'
for call in sprintf vsprintf strcpy strcat strtok atoi alloca gets; do
    refuses banned.sh core/base/a.c "x = $call (a);"
    refuses banned.sh tests/unit/core/base/x_test.c "x = $call(a);"
done
refuses banned.sh core/base/a.c 'static volatile int stop;'
refuses banned.sh core/base/a.c "char quote = '\"'; x = atoi(a);"
refuses banned.sh app/main.c 'getenv("A");'
refuses banned.sh tests/unit/core/base/x_test.c 'usleep(1000);'
refuses banned.sh tests/unit/core/base/x_test.c 'sleep(1);'

passes suites.sh tests/unit/core/base/x_test.c 'int x;'
refuses suites.sh tests/unit/core/base/y_test.c 'int y;'
refuses suites.sh tests/unit/main.c ''

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
