"""`profile-gateway` with what a proof alters: python -m tests.durability.controlled serve …; its workers read this too.

GATEWAY_TEST_SYNCHRONOUS says how SQLite syncs: NORMAL is the control that must lose what was acknowledged.
GATEWAY_TEST_LARGE_LOG says from how many pages on the log is moved into the file, so that this happens often.
"""

import os

from gateway.cli.main import main
from gateway.stores.sqlite import layout, writer

layout.SYNCHRONOUS = os.environ.get("GATEWAY_TEST_SYNCHRONOUS", layout.SYNCHRONOUS)
writer.LARGE_LOG = int(os.environ.get("GATEWAY_TEST_LARGE_LOG", writer.LARGE_LOG))

if __name__ == "__main__":
    main()
