#!/bin/sh
# Installs the programs that tests need and that this machine can give: what is there already is
# left alone. Prints a line for each that cannot be had, with the reason, and never fails: a test
# that misses its program says so itself.

set -u
cd "$(dirname "$0")/.." || exit 0
tools=$PWD/.cache/tools
pebble=v2.10.1
PATH=$tools/bin:/usr/local/sbin:/usr/sbin:/sbin:$PATH
export PATH
mkdir -p "$tools/bin"

have() { command -v "$1" >/dev/null 2>&1; }

cannot() { printf 'setup: cannot install %s: %s\n' "$1" "$2"; }

# The last line a failed installer said.
reason() { tail -n 1 "$tools/log" | cut -c 1-200; }

# Programs of the distribution, as program:package.
missing=
for pair in nginx:nginx-light openssl:openssl strace:strace faketime:faketime curl:curl \
    haproxy:haproxy unshare:util-linux named:bind9 dnssec-signzone:bind9-utils ip:iproute2 \
    mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs mkfs.btrfs:btrfs-progs mount:mount; do
    have "${pair%%:*}" || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
    if ! have apt-get; then
        cannot "${missing# }" 'no apt-get here'
    elif [ "$(id -u)" != 0 ]; then
        cannot "${missing# }" 'only root may use apt-get'
    else
        apt-get -qq update >"$tools/log" 2>&1 || cannot 'new package lists' "$(reason)"
        for package in $missing; do
            DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
                install "$package" >"$tools/log" 2>&1 </dev/null || cannot "$package" "$(reason)"
        done
    fi
fi

# The CA of Let's Encrypt for tests, and its DNS server.
for program in pebble pebble-challtestsrv; do
    have $program && continue
    if ! have go; then
        cannot $program 'there is no Go'
    else
        GOBIN=$tools/bin go install "github.com/letsencrypt/pebble/v2/cmd/$program@$pebble" \
            >"$tools/log" 2>&1 || cannot $program "$(reason)"
    fi
done

# A link, because the programs of a virtual environment know where they lie.
if ! have certbot; then
    if ! have python3; then
        cannot certbot 'there is no Python'
    elif python3 -m venv "$tools/certbot" >"$tools/log" 2>&1 &&
        "$tools/certbot/bin/pip" install --quiet --disable-pip-version-check certbot \
            >"$tools/log" 2>&1; then
        ln -sf ../certbot/bin/certbot "$tools/bin/certbot"
    else
        cannot certbot "$(reason)"
    fi
fi
rm -f "$tools/log"
exit 0
