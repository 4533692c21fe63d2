if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
fi
if [ "$1" -eq 0 ]; then
    rmdir /etc/acmeagent/certificates /etc/acmeagent/hooks /etc/acmeagent 2>/dev/null || :
    rmdir /var/lib/acmeagent 2>/dev/null || :
    if [ -d /var/lib/acmeagent ]; then
        echo 'acmeagent: /var/lib/acmeagent is kept: servers may still read keys and certificates there.'
        echo 'acmeagent: once none does: rm -r /var/lib/acmeagent /etc/acmeagent; userdel acmeagent'
    fi
fi
