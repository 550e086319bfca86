"""What a subscriber answers."""

from collections.abc import Mapping

from msgspec import Struct


class Answer(Struct, frozen=True):
    """What a subscriber answered: a status, or why there is none, and its Retry-After header.

    `is_final`: another attempt would end in the same way. `is_kept`: attempts go on for as long as they may succeed.
    `stops`: no attempt can succeed until a person acts. `notes` are to be stored for the subscriber, whatever came of
    it.
    """

    status: int | None
    reason: str
    retry_after: str | None = None
    is_final: bool = False
    is_kept: bool = False
    stops: bool = False
    notes: Mapping[str, str | None] = {}

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300
