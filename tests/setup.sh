#!/bin/sh
# Installs the programs that tests need and that this machine can give: what is there already is
# left alone. Prints a line for each that cannot be had, with the reason, and never fails: a test
# that misses its program says so itself.

set -u
cd "$(dirname "$0")/.." || exit 0
tools=$PWD/.cache/tools
pebble=v2.10.1
# Debian keeps the programs of PostgreSQL apart, by version.
PATH=$tools/bin:/usr/local/sbin:/usr/sbin:/sbin:$PATH$(printf ':%s' /usr/lib/postgresql/*/bin)
export PATH
mkdir -p "$tools/bin"

have() { command -v "$1" >/dev/null 2>&1; }

cannot() { printf 'setup: cannot install %s: %s\n' "$1" "$2"; }

# The last line a failed installer said.
reason() { tail -n 1 "$tools/log" | cut -c 1-200; }

install() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" \
        >"$tools/log" 2>&1 </dev/null
}

# Programs of the distribution, as program:package.
missing=
for pair in nginx:nginx-light openssl:openssl strace:strace faketime:faketime curl:curl \
    haproxy:haproxy unshare:util-linux named:bind9 dnssec-signzone:bind9-utils ip:iproute2 \
    mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs mkfs.btrfs:btrfs-progs mount:mount \
    apache2:apache2 postfix:postfix dovecot:dovecot-imapd initdb:postgresql mosquitto:mosquitto \
    caddy:caddy shellcheck:shellcheck chromium:chromium chromedriver:chromium-driver \
    mandoc:mandoc fish:fish zsh:zsh \
    prometheus:prometheus prometheus-alertmanager:prometheus-alertmanager \
    systemd-nspawn:systemd-container systemd-analyze:systemd \
    systemd-socket-activate:systemd debootstrap:debootstrap lintian:lintian \
    rpm:rpm strip:binutils knotd:knot kdig:knot-dnsutils nsupdate:bind9-dnsutils; do
    have "${pair%%:*}" || missing="$missing ${pair#*:}"
done
have pdns_server || missing="$missing pdns-server pdns-backend-sqlite3 sqlite3"
if [ -n "$missing" ]; then
    if ! have apt-get; then
        cannot "${missing# }" 'no apt-get here'
    elif [ "$(id -u)" != 0 ]; then
        cannot "${missing# }" 'only root may use apt-get'
    else
        apt-get -qq update >"$tools/log" 2>&1 || cannot 'new package lists' "$(reason)"
        # The servers among them are for the tests to start, not for the distribution.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap 'rm -f $policy' EXIT
            trap 'exit 1' HUP INT TERM
            printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
        fi
        # All at once; one by one only where that fails, to be left without as little as possible.
        # shellcheck disable=SC2086
        install $missing || for package in $missing; do
            install "$package" || cannot "$package" "$(reason)"
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

# The makers of packages, built quickly and still quick enough.
for tool in 'cargo-deb@3.8.0 --no-default-features' cargo-generate-rpm@0.21.1; do
    program=${tool%%@*}
    have "$program" && continue
    if ! have cargo; then
        cannot "$program" 'there is no cargo'
    else
        # shellcheck disable=SC2086
        CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0 \
            cargo install --quiet --debug --locked --root "$tools" $tool \
            >"$tools/log" 2>&1 || cannot "$program" "$(reason)"
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
