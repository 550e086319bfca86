"""Coverage-guided fuzzing of both codecs and the three dialects: `make fuzz`, for `SECONDS` (60).

What any bytes must come to is a tree and its checked updates, or a `Refusal`; everything else is a finding, which
atheris writes to `.fuzz/`. It needs a Python that atheris has wheels for, and an environment of its own.
"""

import re
import sys
from pathlib import Path

import atheris  # type: ignore[import-not-found,unused-ignore]

with atheris.instrument_imports(include=["gateway"]):
    from gateway import media
    from gateway.core.faults import Refusal
    from gateway.core.model import Database
    from gateway.dialects import load_dialects
    from gateway.dialects.protocol import COMMAND_TYPES, Request
    from gateway.schema.compiled import CompiledSchema
    from gateway.schema.files import load_schema

from tests.cases import cases

DATABASE = Database(1, "fuzzed", company_id="demo")
READERS = [
    (call, CompiledSchema(DATABASE, load_schema(dialect.constraints) if dialect.constraints else {}))
    for dialect in load_dialects({})
    for call in dialect.calls
    if call.method not in ("GET", "DELETE")
]
HEADERS = {"authorization": "Bearer token", "revision": "2025-10-15"}
PATH = {"recipient_id": "r", "id": "a" * 24}
NOW = 1_767_225_600_000


def one_input(data: bytes) -> None:
    """The first byte says the call, the second one the media type; the rest is a body."""
    if len(data) < 3:
        return
    call, form = READERS[data[0] % len(READERS)]
    codec = media.CODECS[data[1] % 2]
    try:
        tree = codec.decode(data[2:])
        codec.encode(tree)
        if not isinstance(tree, call.body_types):
            return
        asked = call.parse(Request(tree, {}, HEADERS, PATH, call.path, NOW, codec.is_typed))
    except Refusal:
        return
    for read in asked.commands:
        if read.update is not None:
            type = COMMAND_TYPES[call.operation]
            form.validate(read.update, type, codec.is_typed)


def sow(folder: Path) -> None:
    """Begins with the bodies of all cases, each at its call."""
    for index, (call, _) in enumerate(READERS):
        path = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(call.path)))
        for number, case in enumerate(cases("altcraft", "courier", "klaviyo")):
            if case.about["method"] == call.method and path.fullmatch(case.about["path"].partition("?")[0]):
                body = bytes([index, case.media == "xml"]) + case.request
                (folder / f"{index}-{number}").write_bytes(body)


def main() -> None:
    sow(Path(sys.argv[1]))
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
