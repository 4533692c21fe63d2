systemd-sysusers acmeagent.conf
systemd-tmpfiles --create acmeagent.conf
own() {
    [ -e "$1" ] || install -d -m "$2" -o "$3" -g acmeagent "$1"
}
own /etc/acmeagent 0750 root
# Written by `issue`.
own /etc/acmeagent/certificates 0750 acmeagent
own /etc/acmeagent/hooks 0750 root
# Passable, so that a server can be let in to a key; what is below is closed by itself.
own /var/lib/acmeagent 0711 acmeagent
# From before this package: whoever runs it decides whether the agent shall be root.
if [ "$(stat -c %U /var/lib/acmeagent)" != acmeagent ]; then
    echo 'acmeagent: the timer runs as user acmeagent, to whom /var/lib/acmeagent does not belong.'
    echo 'acmeagent: see /usr/share/doc/acmeagent/examples/run-as-root.conf'
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
fi
if [ "$1" -eq 1 ]; then
    systemctl enable acmeagent.timer || :
    [ ! -d /run/systemd/system ] || systemctl start acmeagent.timer || :
elif [ -d /run/systemd/system ]; then
    systemctl try-restart acmeagent-loop.service || :
fi
