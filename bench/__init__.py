"""What the gateway costs beside a bare server, measured: `make bench`. Nothing here is part of the gateway.

A topic is a function from a `Scale` to a `Finding`, in a file of its own and with a row in `__main__.TOPICS`. It starts
what it needs (`servers`), sends requests that were rendered beforehand (`bodies`) from a process beside (`load`: by wrk
or by `client`), and answers rows of goal and figure with every turn behind them (`report`). `floor` and `peer` are what
the gateway is held against; `weights` shows where its time goes.
"""
