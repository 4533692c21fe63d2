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

complete -c acmeagent -n "__fish_acmeagent_needs_command" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_needs_command" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_needs_command" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -s V -l version -d 'Print version'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "issue" -d 'Order a certificate, put it to use and remember how, so that `renew` needs no flags'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "renew" -d 'Renew what is due; what cron or a timer runs'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "check" -d 'Say whether what is stored or served is consistent and fresh (exit codes of monitoring plugins)'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "rollback" -d 'Put an earlier generation of a certificate back in service, and keep it there'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "snapshot" -d 'Keep, verify and restore copies of what is in service'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "status" -d 'Show every certificate: its names, its life, its next renewal and why'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "revoke" -d 'Tell the CA that a certificate is no longer to be trusted'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "delete" -d 'Remove a certificate, its keys and its settings from this host (snapshots stay)'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "account" -d 'Show or change the account at a CA'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "drill" -d 'Rehearse with an authority of our own'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "generate" -d 'Print the man page or shell completions'
complete -c acmeagent -n "__fish_acmeagent_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s d -l domain -l domains -d 'DNS name, wildcard or IP address to be certified (repeat, or separate by commas)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l cert-name -d 'What to call the certificate (default: after its first name)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l ca -d 'A CA by name: a built-in one, one of the settings\' [[ca]], or `embedded` for trying out' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l server -d 'The CA\'s directory URL, or a name as for --ca' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l ca-root -d 'Trust this root (PEM), and no other, for the CA\'s own HTTPS' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l eab-kid -d 'Key identifier of an external account binding' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l eab-hmac-key -d 'HMAC key of the binding, base64url (visible to others in the process list: prefer the file)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l eab-hmac-key-file -d 'File with the HMAC key of the binding' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s m -l email -d 'Contact address given to the CA' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l profile -l preferred-profile -d 'Profile to ask for when the CA offers it' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l required-profile -d 'Profile without which nothing is ordered' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l preferred-chain -d 'Prefer the chain that has an issuer of this common name' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l challenge -d 'Challenge type: http-01 or tls-alpn-01 (default http-01; repeat in order of preference)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s w -l webroot -d 'Answer http-01 by files under this web root' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l http-01-address -d 'Address of our own listeners (default: all)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l http-01-port -d 'Port of our http-01 listener (default 80)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l tls-alpn-01-port -d 'Port of our tls-alpn-01 listener (default 443)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l key-type -d 'p256, p384, rsa2048, rsa3072 or rsa4096 (default p256)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l pre-hook -d 'Run before an order (repeat)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l deploy-hook -d 'Run to put a new certificate to use (repeat, in order); when it fails, the old one returns' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l post-hook -d 'Run after the orders of a run, whatever came of them (repeat)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l staging -d 'Use the CA\'s staging environment'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l agree-tos -d 'Agree to the CA\'s terms of service'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l standalone -d 'Answer http-01 from a listener of our own (the default)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l reuse-key -d 'Keep the key at renewals'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l new-key -d 'Make a new key at each renewal (the default)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l dry-run -d 'Rehearse everything against the CA\'s staging directory (or --server); keep and deploy nothing'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l force -l force-renewal -d 'Order even though a valid certificate is held'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand issue" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l jobs -d 'How many certificates to work on at once' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l dry-run -d 'Rehearse against the CA\'s staging directory; keep and deploy nothing'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l force -d 'Renew although nothing is due'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand renew" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l connect -d 'Look at what this endpoint serves' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l servername -d 'Name to ask the endpoint for (default: its host)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l file -d 'Look at this certificate file (PEM)' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l key -d 'Private key that must match --file' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l ca-root -d 'Roots (PEM) the chain must lead to' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l format -d 'How to print the findings' -r -f -a "text\t''
json\t''
junit\t''
github\t''
prometheus\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l to -d 'Go to this generation (default: the newest good one before the live one)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l snapshot -d 'Go to the generation that was live in this snapshot' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l list -d 'Show the generations and what became of them'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l unpin -d 'Let the newest good generation go live again'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l force -d 'Even if it has expired or was marked bad'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "create" -d 'Take one now'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "list" -d 'Show them, newest last'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "verify" -d 'Compare every file with its recorded SHA-256'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "restore" -d 'Link the files of a snapshot back, even if archive or live were lost'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "prune" -d 'Remove all but the newest'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "export" -d 'Write one as a tar archive (it holds private keys)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and not __fish_seen_subcommand_from create list verify restore prune export help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l keep -d 'How many to keep' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "create" -d 'Take one now'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "list" -d 'Show them, newest last'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Compare every file with its recorded SHA-256'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Link the files of a snapshot back, even if archive or live were lost'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove all but the newest'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write one as a tar archive (it holds private keys)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -l reason -d 'unspecified, keyCompromise, affiliationChanged, superseded or cessationOfOperation' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -l generation -d 'Revoke this generation (default: the live one)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l ca -d 'A CA by name: a built-in one, one of the settings\' [[ca]], or `embedded` for trying out' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l server -d 'The CA\'s directory URL, or a name as for --ca' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l ca-root -d 'Trust this root (PEM), and no other, for the CA\'s own HTTPS' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l eab-kid -d 'Key identifier of an external account binding' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l eab-hmac-key -d 'HMAC key of the binding, base64url (visible to others in the process list: prefer the file)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l eab-hmac-key-file -d 'File with the HMAC key of the binding' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -s m -l email -d 'Contact address given to the CA' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l staging -d 'Use the CA\'s staging environment'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l agree-tos -d 'Agree to the CA\'s terms of service'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand account" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -f -a "ca" -d 'Serve the embedded ACME CA until told to stop, for any client'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and not __fish_seen_subcommand_from ca help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l listen -d 'Where to listen (loopback only)' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l http-01-port -d 'Port http-01 validation connects to' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l tls-alpn-01-port -d 'Port tls-alpn-01 validation connects to' -r
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from ca" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from help" -f -a "ca" -d 'Serve the embedded ACME CA until told to stop, for any client'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand drill; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -f -a "man" -d 'The man page acmeagent(1), in roff'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -f -a "completions" -d 'Completions for a shell'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and not __fish_seen_subcommand_from man completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -l home -d 'Keep settings and store under one directory' -r -F
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -l color -d 'Colour the messages' -r -f -a "auto\t''
always\t''
never\t''"
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -l json -d 'Print one JSON document on standard output'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -s q -l quiet -d 'Say nothing but errors'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -s v -l verbose -d 'Say more: phases and their times'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "man" -d 'The man page acmeagent(1), in roff'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "completions" -d 'Completions for a shell'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "issue" -d 'Order a certificate, put it to use and remember how, so that `renew` needs no flags'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "renew" -d 'Renew what is due; what cron or a timer runs'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "check" -d 'Say whether what is stored or served is consistent and fresh (exit codes of monitoring plugins)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "rollback" -d 'Put an earlier generation of a certificate back in service, and keep it there'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "snapshot" -d 'Keep, verify and restore copies of what is in service'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "status" -d 'Show every certificate: its names, its life, its next renewal and why'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "revoke" -d 'Tell the CA that a certificate is no longer to be trusted'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "delete" -d 'Remove a certificate, its keys and its settings from this host (snapshots stay)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "account" -d 'Show or change the account at a CA'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "drill" -d 'Rehearse with an authority of our own'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "generate" -d 'Print the man page or shell completions'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and not __fish_seen_subcommand_from issue renew check rollback snapshot status revoke delete account drill generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "create" -d 'Take one now'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "list" -d 'Show them, newest last'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "verify" -d 'Compare every file with its recorded SHA-256'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "restore" -d 'Link the files of a snapshot back, even if archive or live were lost'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "prune" -d 'Remove all but the newest'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "export" -d 'Write one as a tar archive (it holds private keys)'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from drill" -f -a "ca" -d 'Serve the embedded ACME CA until told to stop, for any client'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from generate" -f -a "man" -d 'The man page acmeagent(1), in roff'
complete -c acmeagent -n "__fish_acmeagent_using_subcommand help; and __fish_seen_subcommand_from generate" -f -a "completions" -d 'Completions for a shell'
