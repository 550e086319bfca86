"""The gateway with one change in each transaction of PostgreSQL: what grouping is measured against.

`python -m bench.ungrouped serve`; all else is the gateway's own command line.
"""

from gateway.cli.main import main
from gateway.stores import group_commit, postgresql

group_commit.MIN_STEPS_PER_CALL = postgresql.MAX_GROUP_CHANGES = 1

main()
