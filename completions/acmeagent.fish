complete --keep-order --exclusive --command acmeagent --arguments "(COMPLETE=fish acmeagent -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
