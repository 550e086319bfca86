"""Measurements of the gateway beside a bare server and two peers: `make bench`. Nothing here is part of the gateway.

A topic is a function from a `Scale` to a `Finding`, with a row in `__main__.TOPICS`. It starts servers (`servers`),
sends requests that were rendered beforehand (`bodies`, `vendor_bodies`) from another process (`load`: wrk or `client`),
and returns rows with goal and figure, and every turn behind them (`report`). The kinds of requests and their goals are
a table (`shapes`), which `shares` measures beside the floor (`floor`) and the peers (`fastify/`, `peer`). `compare`
measures two commits in turn, and `weights` prints where the time goes.
"""
