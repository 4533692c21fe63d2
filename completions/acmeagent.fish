# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_acmeagent_global_optspecs
    string join \n home= json q/quiet v/verbose color= h/help V/version
end

function __fish_acmeagent_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_acmeagent_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_acmeagent_using_subcommand
    set -l cmd (__fish_acmeagent_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c acmeagent -n "__fish_acmeagent_needs_command" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_needs_command" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_needs_command" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -s V -l version -d 'Print version'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "issue" -d 'Get a certificate, put it to use, and remember how: `renew` then needs no flags'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "renew" -d 'Renew what is due (to be run by a timer or cron, every half hour)'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "serve" -d 'Answer http-01 in front of an application that has port 80, until told to stop'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "check" -d 'Say whether certificates are valid, fresh, whole and served, as a monitoring plugin'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "doctor" -d 'Find out why the next renewal would fail, before a CA is asked for anything'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "rollback" -d 'Put an earlier certificate back in service, and keep it there until told otherwise'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "snapshot" -d 'Take, verify and restore copies of what is in service'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "status" -d 'Show every certificate: its names, its life, its next renewal and why'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "revoke" -d 'Tell the CA that a certificate is no longer to be trusted'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "delete" -d 'Remove a certificate, its keys and its settings from this host (snapshots stay)'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "account" -d 'Show or change the account at a CA'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "drill" -d 'Rehearse with a CA of our own'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "generate" -d 'Print the man page or shell completions'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s d -l domain -l domains -d 'DNS name or IP address the certificate is for (repeat, or separate by commas)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l cert-name -d 'What to call the certificate (default: after its first name)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l ca -d 'Name of the CA: a built-in one, a [[ca]] of the settings, or `embedded` to try things out' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l server -d 'The CA\'s directory URL, or a name as for --ca' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l ca-root -d 'Root certificate of the CA\'s own HTTPS, instead of the system\'s roots' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l eab-kid -d 'Key identifier the CA gave you for an external account binding' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l eab-hmac-key -d 'HMAC key of that binding (others see it in the process list: prefer the file)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l eab-hmac-key-file -d 'File that holds the HMAC key of that binding' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s m -l email -d 'E-mail address the CA may write to' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l profile -l preferred-profile -d 'Certificate profile to ask for, if the CA offers it (as in shortlived)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l required-profile -d 'Certificate profile to ask for; without it nothing is ordered' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l preferred-chain -d 'Take the chain with an issuer of this common name, if the CA has one' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l challenge -d 'Challenge type: http-01, tls-alpn-01, dns-01, dns-account-01 or dns-persist-01 (default http-01, with --dns dns-01; repeat in order of preference)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s w -l webroot -d 'Answer http-01 by files in this directory, which a web server serves on port 80' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l http-01-address -d 'Address to listen on (default: all)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l http-01-port -d 'Port to listen on for http-01 (default 80)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l tls-alpn-01-port -d 'Port to listen on for tls-alpn-01 (default 443)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l dns -d 'Who edits the DNS: rfc2136, exec:COMMAND, acme.sh:dns_NAME, lego-exec:COMMAND, httpreq:URL, acme-dns:URL, a company such as cloudflare, or a [[dns]] of the settings (repeat)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l dns-credentials -d 'File with what they must be told, lines of NAME = "text"; for nobody else to read (mode 0600)' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l dns-propagation-timeout -d 'How long name servers may take to show a record (default 5m); 0s asks none of them' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l manual-auth-hook -d 'Program written for certbot\'s flag of that name, to put a record into the DNS' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l manual-cleanup-hook -d 'Program written for certbot\'s flag of that name, to remove the record' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l key-type -d 'Kind of key: p256, p384, rsa2048, rsa3072 or rsa4096 (default p256)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l target -d 'Put the certificate to use there: nginx, haproxy:SOCKET, rustls:SOCKET, copy:DIR, systemd:UNIT, hook:COMMAND, or a [[target]] of the settings (repeat, in order)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l verify -d 'Look there whether the new certificate is served, and put the old one back if it is not (repeat; smtp://, imap:// or postgres:// before HOST:PORT where TLS does not come first)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l pre-hook -d 'Run before the first order (repeat)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l deploy-hook -d 'Run to put a new certificate to use (repeat); if it fails, the old one is put back' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l post-hook -d 'Run after the last order, whatever came of it (repeat)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l dry-run -d 'Rehearse it all with the CA\'s staging environment (or --server); keep and deploy nothing'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l force -l force-renewal -d 'Order even though a valid certificate is held'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l staging -d 'Use the CA\'s staging environment'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l agree-tos -d 'Agree to the CA\'s terms of service'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l standalone -d 'Answer http-01 by listening ourselves (the default)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l reuse-key -d 'Keep the key at renewals'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l new-key -d 'Make a new key at each renewal (the default)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l jobs -d 'How many certificates to work on at once' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l max-wait -d 'Wait for what becomes due within this time, as in 30m, and renew it at its exact instant' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l plan -d 'Say what would be done when and why, and what it would take of the CA\'s limits; do nothing'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l dry-run -d 'Rehearse with the CA\'s staging environment; keep and deploy nothing'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l force -d 'Renew although nothing is due'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l approve -d 'Let deploys go on that wait for approval'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l loop -d 'Stay until told to stop, and renew each certificate at its exact instant (for containers and services; SIGHUP makes it look at all settings again)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand serve" -l upstream -d 'Where the application is now' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand serve" -l listen -d 'Where to listen in its stead (repeat); [::] is every address, IPv6 and IPv4' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand serve" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand serve" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand serve" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand serve" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand serve" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l connect -d 'Look at what this endpoint serves; with smtp://, imap:// or postgres:// in front, TLS begins there as that protocol has it' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l servername -d 'Name to ask the endpoint for (default: its host)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l file -d 'Look at this certificate file (PEM)' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l key -d 'Private key that must match --file' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l ca-root -d 'Roots (PEM) the chain must lead to' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l format -d 'How to print the findings' -r -f -a "text\t''
json\t''
junit\t''
github\t''
prometheus\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand doctor" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand doctor" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand doctor" -l fix -d 'Mend what can be mended safely'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand doctor" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand doctor" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand doctor" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l to -d 'Go to this generation (default: the newest good one before the live one)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l snapshot -d 'Go to the generation that was in service when this snapshot was taken' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l list -d 'Show the generations and what became of them'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l unpin -d 'No longer hold it back: put the newest good generation into service'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l force -d 'Even if it has expired, was revoked or failed before'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "create" -d 'Take a snapshot now (one is taken by itself before every change)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "list" -d 'Show the snapshots, newest last'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "verify" -d 'Compare every file of a snapshot, or of all, with its recorded SHA-256'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "restore" -d 'Put certificates back as a snapshot holds them, whatever was lost since'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "prune" -d 'Remove all but the newest snapshots of each certificate'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "export" -d 'Write a snapshot to a tar archive (it holds private keys)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l keep -d 'How many to keep' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "create" -d 'Take a snapshot now (one is taken by itself before every change)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "list" -d 'Show the snapshots, newest last'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Compare every file of a snapshot, or of all, with its recorded SHA-256'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Put certificates back as a snapshot holds them, whatever was lost since'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove all but the newest snapshots of each certificate'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write a snapshot to a tar archive (it holds private keys)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -l reason -d 'One of unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -l generation -d 'Revoke this generation (default: the live one)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l until -d 'For dns-record: until when the record is to be good (default: for good)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l ca -d 'Name of the CA: a built-in one, a [[ca]] of the settings, or `embedded` to try things out' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l server -d 'The CA\'s directory URL, or a name as for --ca' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l ca-root -d 'Root certificate of the CA\'s own HTTPS, instead of the system\'s roots' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l eab-kid -d 'Key identifier the CA gave you for an external account binding' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l eab-hmac-key -d 'HMAC key of that binding (others see it in the process list: prefer the file)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l eab-hmac-key-file -d 'File that holds the HMAC key of that binding' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -s m -l email -d 'E-mail address the CA may write to' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l staging -d 'Use the CA\'s staging environment'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l agree-tos -d 'Agree to the CA\'s terms of service'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -f -a "ca" -d 'Serve an ACME CA for any client, until told to stop; nobody trusts it'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l listen -d 'Where to listen (loopback only)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l http-01-port -d 'Port http-01 validation connects to' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l tls-alpn-01-port -d 'Port tls-alpn-01 validation connects to' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l dns-server -d 'Name server to ask, by TCP, for the records of dns-01, dns-account-01 and dns-persist-01' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l behaviour -d 'Behave as this file says, not only as the RFCs ask; an example is below' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from help" -f -a "ca" -d 'Serve an ACME CA for any client, until told to stop; nobody trusts it'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -f -a "man" -d 'The man page acmeagent(1), in roff'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -f -a "completions" -d 'Completions for a shell, to be sourced or put where it looks for them'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -l home -d 'Directory of settings and certificates' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -l color -d 'When to colour messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -s v -l verbose -d 'Say more: each step and how long it took'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "man" -d 'The man page acmeagent(1), in roff'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "completions" -d 'Completions for a shell, to be sourced or put where it looks for them'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "issue" -d 'Get a certificate, put it to use, and remember how: `renew` then needs no flags'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "renew" -d 'Renew what is due (to be run by a timer or cron, every half hour)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "serve" -d 'Answer http-01 in front of an application that has port 80, until told to stop'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "check" -d 'Say whether certificates are valid, fresh, whole and served, as a monitoring plugin'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "doctor" -d 'Find out why the next renewal would fail, before a CA is asked for anything'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "rollback" -d 'Put an earlier certificate back in service, and keep it there until told otherwise'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "snapshot" -d 'Take, verify and restore copies of what is in service'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "status" -d 'Show every certificate: its names, its life, its next renewal and why'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "revoke" -d 'Tell the CA that a certificate is no longer to be trusted'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "delete" -d 'Remove a certificate, its keys and its settings from this host (snapshots stay)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "account" -d 'Show or change the account at a CA'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "drill" -d 'Rehearse with a CA of our own'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "generate" -d 'Print the man page or shell completions'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew serve check doctor rollback snapshot status revoke delete account drill generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "create" -d 'Take a snapshot now (one is taken by itself before every change)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "list" -d 'Show the snapshots, newest last'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "verify" -d 'Compare every file of a snapshot, or of all, with its recorded SHA-256'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "restore" -d 'Put certificates back as a snapshot holds them, whatever was lost since'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "prune" -d 'Remove all but the newest snapshots of each certificate'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "export" -d 'Write a snapshot to a tar archive (it holds private keys)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from drill" -f -a "ca" -d 'Serve an ACME CA for any client, until told to stop; nobody trusts it'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from generate" -f -a "man" -d 'The man page acmeagent(1), in roff'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from generate" -f -a "completions" -d 'Completions for a shell, to be sourced or put where it looks for them'
