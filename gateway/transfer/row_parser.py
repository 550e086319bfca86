"""Rows of a file to validated commands, by the dialect and the schema that requests have too."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from gateway.core.faults import Fault, Refusal
from gateway.core.model import Command, CommandType, Database, Token
from gateway.core.numbers import UnrepresentableNumber
from gateway.core.rights import WRITE
from gateway.core.subscription_rules import KEEP_OPT_OUTS
from gateway.dialects.protocol import Dialect, FileRows
from gateway.media import Bounds
from gateway.schema.compiled import CompiledSchema
from gateway.service.command_validation import validate_command
from gateway.service.prepared_request import PreparedRequest
from gateway.transfer.formats.protocol import Row, RowReader

TOKEN_ID = "import"
"""What the changes of an import have in the place of a token's id."""


PARAMETER_POINTERS = ("/database", "/match/mode", "/match/resource_id", "/options", "/segments")
"""The members of a command that parameters set."""


class InvalidParameters(ValueError):
    """Parameters for which every row would be refused."""


class RowParser:
    """Parses rows. `mode` is the call that a row stands for; `parameters` are those of each call."""

    def __init__(
        self,
        dialect: Dialect,
        rows: FileRows,
        mode: str,
        database: Database,
        schema: CompiledSchema,
        parameters: Mapping[str, Any],
        bounds: Bounds,
    ) -> None:
        self._dialect = dialect
        self._rows = rows
        self._call = rows.calls[mode]
        self._database = database
        self._schema = schema
        self._parameters = parameters
        self._bounds = bounds
        self._token = Token(TOKEN_ID, "", database.id, frozenset({WRITE}), 0)

    def check_parameters(self, *, is_typed: bool) -> None:
        """Raise `InvalidParameters` with the faults that a row without members has because of the parameters."""
        if not self._rows.has_parameters:
            return
        try:
            parsed = self._call.parse(self._rows.request({}, self._parameters, is_typed))
        except Refusal as refusal:
            raise InvalidParameters(self.describe(refusal.faults)) from None
        command = validate_command(self._schema, parsed.commands[0], CommandType.UPDATE, is_typed)
        faults = command.faults if isinstance(command, Refusal) else ()
        if found := [fault for fault in faults if fault.pointer.startswith(PARAMETER_POINTERS)]:
            raise InvalidParameters(self.describe(found))

    def request(self, reader: RowReader, rows: Sequence[Row]) -> PreparedRequest:
        """Return the request of these rows. An invalid row is replaced by its refusal."""
        commands = [self._command(reader, row) for row in rows]
        return PreparedRequest(self._dialect, self._token, self._database, self._schema, commands, is_bulk=True)

    def describe(self, faults: Sequence[Fault]) -> str:
        """Return the reason of a refusal in the dialect's words."""
        return self._rows.describe(faults)

    def _command(self, reader: RowReader, row: Row) -> Command | Refusal:
        if row.fault:
            return Refusal([Fault("malformed_body", row.fault)])
        marks: list[UnrepresentableNumber] = []
        try:
            tree = reader.decode(row, self._bounds, marks)
            parsed = self._call.parse(self._rows.request(tree, self._parameters, reader.is_typed))
        except Refusal as refusal:
            return refusal.copy()
        [command] = parsed.commands
        if command.update is not None:
            command = replace(command, update={**command.update, KEEP_OPT_OUTS: True})
        return validate_command(self._schema, command, CommandType.UPDATE, reader.is_typed, has_marks=bool(marks))
