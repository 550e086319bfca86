"""What the deliveries report about their work, for metrics. The base class ignores it."""

from gateway.core.subscribers import Subscriber


class DeliveryObserver:
    """Observes the deliveries of this process."""

    def sent(self, kind: str, outcome: str, count: int) -> None:
        """Observe deliveries to subscribers of a kind: `delivered`, `failed` (tried again later) or `dead`."""

    def lagged(self, subscriber: Subscriber, seconds: float) -> None:
        """Observe how old the oldest change is that a subscriber did not have before this round; 0 if it has all."""


UNOBSERVED = DeliveryObserver()
