"""The gateway with one change in each transaction of PostgreSQL: what grouping is measured against.

`python -m bench.ungrouped serve`; all else is the gateway's own command line.
"""

from gateway.cli.main import main
from gateway.stores import group_commit, postgresql

group_commit.LARGEST_SLICE = postgresql.LARGEST_GROUP = 1

main()
