"""What an endpoint answers."""

from msgspec import Struct


class Answer(Struct, frozen=True):
    """What an endpoint answered: a status, or why there is none, and its Retry-After header."""

    status: int | None
    reason: str
    retry_after: str | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300
