"""Flow control of a connection: reading pauses while the application is busy, and writing while the client is."""

import asyncio


class FlowControl(asyncio.Protocol):
    """A protocol that can pause."""

    transport: asyncio.Transport
    is_reading = True
    writable: asyncio.Event | None = None
    """Set when the client has read enough; None while there is no need to wait."""

    def pause_reading(self) -> None:
        """Read no more for now."""
        if self.is_reading:
            self.is_reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, if reading was paused."""
        if not self.is_reading:
            self.is_reading = True
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """Let the application wait. The transport calls this."""
        self.writable = asyncio.Event()

    def resume_writing(self) -> None:
        """Let the application send again. The transport calls this."""
        if self.writable:
            self.writable.set()
            self.writable = None
