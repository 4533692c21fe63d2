if [ "$1" -eq 0 ]; then
    systemctl disable acmeagent.timer acmeagent-loop.service || :
    if [ -d /run/systemd/system ]; then
        systemctl stop acmeagent.timer acmeagent-loop.service acmeagent.service || :
    fi
fi
