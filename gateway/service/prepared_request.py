"""A request that is ready to run: authorized, parsed and validated."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct, field

from gateway.core.faults import Fault, Refusal
from gateway.core.model import Command, Database, IdempotencyKey, Job, Profile, Token, Tree
from gateway.core.segments import Segment
from gateway.dialects.protocol import Dialect, HistoryRow
from gateway.schema.compiled import CompiledSchema

Outcome: TypeAlias = Profile | Job | HistoryRow | Segment | Sequence[Fault] | int | None
"""A profile, a job, a row of a history or a segment, None for an absent or removed profile, the faults of one of many
updates, or a number of changes."""


class PreparedRequest(Struct, frozen=True):
    """A request with its token, database and commands. An invalid command is replaced by its refusal."""

    dialect: Dialect
    token: Token
    database: Database
    schema: CompiledSchema
    commands: Sequence[Command | Refusal]
    sources: Sequence[Tree] = ()
    """What each command was parsed from, where the dialect keeps it."""
    idempotency_key: IdempotencyKey | None = None
    job: Mapping[str, Any] = field(default_factory=dict)
    """What a job keeps besides its outcomes."""
    is_dry_run: bool = False
    is_public: bool = False
    """Whether any page may call it: its response must not depend on stored data."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What the dialect's `parse` passes to its `render`."""
    rate_headers: Mapping[str, str] = field(default_factory=dict)
    """The response headers of the rate limit."""
    request_id: str = ""
    registry: int | None = None
    """The version of the registry that it relies on, where the store compares it; else None."""
    received: int | None = None
    """When it was received, in milliseconds since 1970. None: each change has the time at which it is built."""
    needs_consent: bool = False
    """Whether the reply depends on the facts about addresses."""
    shows_profile: bool = True
    """Whether the reply to an update shows the profile, not only its id."""
    is_bulk: bool = False
    """Whether its commands are the rows of a job or a file: none of them creates a person again who was erased."""

    @property
    def command(self) -> Command:
        """The only command. Raises the `Refusal` in its place, if there is one."""
        (command,) = self.commands
        if isinstance(command, Refusal):
            raise command.copy()
        return command

    @property
    def ignores_absence(self) -> bool:
        """Whether an absent profile is no fault."""
        return any(isinstance(each, dict) and each.get("missing_ok") is True for each in self.commands)
