#!/bin/sh
# Calls and words that the project does without. Prints each use outside comments and strings, and
# ends with 1 when there is one.
#
#     sh tests/lint/banned.sh [root of the repository]
set -eu
cd "${1:-.}"

find app core handlers openapi tests -name node_modules -prune -o -name '*.[ch]' -print \
    2>/dev/null | sort | xargs awk '
BEGIN {
    unsafe = "sprintf vsprintf strcpy stpcpy strcat strtok atoi atol atof alloca gets"
    environment = "getenv secure_getenv"
    waiting = "sleep usleep nanosleep clock_nanosleep"
}

function complain(why) {
    printf "%s:%d: %s\n", FILENAME, FNR, why
    bad = 1
}

# The line without comments and with empty strings; a comment may go on in the next line.
function code_of(line,    out, at, c, quote) {
    out = ""
    quote = ""
    for (at = 1; at <= length(line); at++) {
        c = substr(line, at, 1)
        if (in_comment) {
            if (substr(line, at, 2) == "*/") {
                in_comment = 0
                at++
            }
        } else if (quote != "") {
            if (c == "\\")
                at++
            else if (c == quote) {
                quote = ""
                out = out c
            }
        } else if (substr(line, at, 2) == "/*") {
            in_comment = 1
            at++
        } else if (substr(line, at, 2) == "//") {
            break
        } else {
            if (c == "\"" || c == "\047")
                quote = c
            out = out c
        }
    }
    return out
}

function check_calls(code, names, why,    list, count, i) {
    count = split(names, list, " ")
    for (i = 1; i <= count; i++)
        if (code ~ "(^|[^A-Za-z0-9_])" list[i] "[ \t]*\\(")
            complain(list[i] " " why)
}

FNR == 1 { in_comment = 0 }

{
    code = code_of($0)
    check_calls(code, unsafe, "is banned")
    if (code ~ "(^|[^A-Za-z0-9_])volatile([^A-Za-z0-9_]|$)")
        complain("volatile is no way for threads to talk")
    if (FILENAME != "app/config.c" && FILENAME !~ "^tests/")
        check_calls(code, environment, "belongs into app/config.c")
    if (FILENAME ~ "^tests/unit/")
        check_calls(code, waiting, "has no place in a test: wait for an event, with a deadline")
}

END { exit bad }
'
