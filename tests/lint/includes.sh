#!/bin/sh
# Who may include whom. Prints each include that goes upward or belongs to another module, and ends
# with 1 when there is one.
#
#     sh tests/lint/includes.sh [root of the repository]
set -eu
cd "${1:-.}"

find app core handlers openapi -name '*.[ch]' 2>/dev/null | sort | xargs awk '
BEGIN {
    # Own code: folder of the file -> folders that it may include from.
    core = "core/base core/auth core/limit core/net core/ws core/bus core/chat core/presence"
    own["core/base"] = "core/base"
    own["core/auth"] = "core/auth core/base"
    own["core/limit"] = "core/limit core/base"
    own["core/net"] = "core/net core/base"
    own["core/ws"] = "core/ws core/base"
    own["core/bus"] = "core/bus core/net core/base"
    own["core/chat"] = "core/chat core/auth core/limit core/ws core/net core/base"
    own["core/presence"] = "core/presence core/bus core/net core/base"
    own["openapi"] = "openapi core/base"
    own["handlers"] = "handlers openapi " core
    own["app"] = "app handlers openapi " core
    # Libraries: start of the header -> folders that may know it.
    library["microhttpd.h"] = "handlers app"
    library["wslay/"] = "core/ws"
    library["zlib.h"] = "core/ws"
    library["hiredis/"] = "core/bus"
    library["yajl/"] = "core/chat core/presence"
    library["jansson.h"] = "core/auth handlers app"
    library["openssl/"] = "core/auth core/base core/ws"
    library["CUnit/"] = ""
    # Made by the build, so it stands at no fixed place.
    generated["assets.h"] = "openapi"
}

function complain(why) {
    printf "%s:%d: %s\n", FILENAME, FNR, why
    bad = 1
}

function folder_of(path) {
    sub("/[^/]*$", "", path)
    return path
}

function has(list, word) {
    return index(" " list " ", " " word " ") > 0
}

function exists(path, line) {
    if ((getline line < path) < 0)
        return 0
    close(path)
    return 1
}

function check_own(header) {
    if (has(generated[header], folder))
        return
    if (header !~ "/" || !exists(header))
        complain("\"" header "\" is not written from the root of the repository")
    else if (!has(own[folder], folder_of(header)))
        complain(folder " may not include \"" header "\"")
}

function check_library(header, start) {
    for (start in library)
        if (index(header, start) == 1 && !has(library[start], folder))
            complain("<" header "> is not for " folder)
}

FNR == 1 {
    folder = folder_of(FILENAME)
    if (!(folder in own))
        complain("there is no rule for the folder " folder)
    own_header = FILENAME
    sub("\\.c$", ".h", own_header)
    first = FILENAME ~ "\\.c$" && exists(own_header)
}

/^[ \t]*#[ \t]*include[ \t]*["<]/ {
    header = $0
    sub("^[^\"<]*[\"<]", "", header)
    sub("[\">].*$", "", header)
    if (first && header != own_header)
        complain("the first include is \"" own_header "\"")
    first = 0
    if ($0 ~ "^[^<]*\"")
        check_own(header)
    else
        check_library(header)
}

END { exit bad }
'
