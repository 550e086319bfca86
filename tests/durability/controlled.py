"""`profile-gateway` with the settings of a proof: python -m tests.durability.controlled serve …, and its workers.

GATEWAY_TEST_SYNCHRONOUS is the mode of SQLite: NORMAL is the control, which must lose acknowledged changes.
GATEWAY_TEST_CHECKPOINT_LOG_PAGES is the length of the log from which on it is written into the file.
"""

import os

from gateway.cli.main import main
from gateway.stores.sqlite import checkpoints, connections

connections.SYNCHRONOUS = os.environ.get("GATEWAY_TEST_SYNCHRONOUS", connections.SYNCHRONOUS)
checkpoints.CHECKPOINT_LOG_PAGES = int(
    os.environ.get("GATEWAY_TEST_CHECKPOINT_LOG_PAGES", checkpoints.CHECKPOINT_LOG_PAGES)
)

if __name__ == "__main__":
    main()
