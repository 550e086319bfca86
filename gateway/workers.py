"""uvicorn's processes, and what they lack when they stop. Knows nothing of what they serve.

The parent of several workers holds the socket too that they listen on, until the last of them is gone: who connects
meanwhile waits for an answer that nobody gives, and is reset in the end. Where it is closed first, he is told at once.
"""

import sys
from contextlib import suppress

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess


def serve(config: Config) -> None:
    """Serves until SIGTERM or SIGINT, in this process or in as many workers as the configuration says."""
    if config.workers > 1:
        return Workers(config, [config.bind_socket()]).run()
    server = Server(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
    return None


class Workers(Multiprocess):
    """As uvicorn's, but the parent stops listening before its workers do."""

    def terminate_all(self) -> None:
        """Called once, to stop."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()
