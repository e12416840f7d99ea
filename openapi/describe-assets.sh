#!/bin/sh
# Prints the header that embed.c includes: for each file its size in bytes and its entity tag.
#
#     describe-assets.sh FOLDER FILE...
#
# The macros are named after the file's path, with FOLDER (where the compressed files are) left out.
set -eu

folder=$1
shift

echo '#pragma once'
echo '/* Made by openapi/describe-assets.sh from what the files hold. */'
for file in "$@"; do
    name=$(printf '%s' "${file#"$folder"/}" | tr -c 'A-Za-z0-9' '_')
    hash=$(sha256sum <"$file" | cut -c 1-16)
    printf '#define SIZE_%s %d\n' "$name" "$(wc -c <"$file")"
    printf '#define ETAG_%s "\\"%s\\""\n' "$name" "$hash"
done
