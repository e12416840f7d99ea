#!/bin/sh
# Installs the Debian or Ubuntu packages that are missing: `deps.sh build` what building and serving
# needs, `deps.sh test` what the tests need, `deps.sh check` what `make check` needs, `deps.sh peers`
# what the benchmarks of other servers need. Says what it does, and does nothing when all is there.
set -eu

build='gcc make libc6-dev libmicrohttpd-dev libwslay-dev libhiredis-dev liburing-dev libyajl-dev
libjansson-dev zlib1g-dev libssl-dev gzip'
test='libcunit1-dev redis-server chromium'
check='clang clang-format clang-tidy cppcheck libclang-rt-14-dev valgrind'

peers='golang-go golang-github-gorilla-websocket-dev golang-github-gomodule-redigo-dev
nginx libnginx-mod-nchan redis-server'

case "${1:-}" in
build) packages=$build ;;
test) packages="$build $test" ;;
check) packages="$build $test $check" ;;
peers) packages="$build $peers" ;;
*)
    echo "usage: deps.sh build|test|check|peers" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "deps.sh: not Debian or Ubuntu: install the equivalents of: $packages nodejs npm" >&2
    exit 0
fi

missing=
for package in $packages; do
    if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed'; then
        missing="$missing $package"
    fi
done
# Node.js may come from elsewhere than Debian; what counts is that it is there.
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
[ -z "$missing" ] && exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    if ! command -v sudo >/dev/null; then
        echo "There is no sudo here. As root: apt-get install$missing" >&2
        exit 1
    fi
fi
echo "Installing packages:$missing"
$as_root apt-get update -qq
# Debian starts a new redis-server or nginx by itself; tests start their own, so those stay off.
if [ ! -e /usr/sbin/policy-rc.d ] && echo "$missing" | grep -qE 'redis-server|nginx'; then
    policy=1
    printf '#!/bin/sh\nexit 101\n' | $as_root tee /usr/sbin/policy-rc.d >/dev/null
    $as_root chmod +x /usr/sbin/policy-rc.d
    trap '[ -z "${policy:-}" ] || $as_root rm -f /usr/sbin/policy-rc.d' EXIT
fi
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
