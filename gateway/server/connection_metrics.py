"""What a connection reports to the metrics. The base class reports nothing."""


class ConnectionMetrics:
    """Counts connections, and requests that a connection rejects."""

    def opened(self) -> None:
        """Count an accepted connection."""

    def closed(self) -> None:
        """Count a closed connection."""

    def rejected(self, status: int) -> None:
        """Count a request that was rejected before it reached the application."""
