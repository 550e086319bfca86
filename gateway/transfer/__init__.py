"""A whole store as a stream of lines (NDJSON), and a stream of lines into any store.

One line is one row. `lines.py` defines the lines, `dump.py` writes them, `load.py` reads them. Their order does not
depend on the engine: two stores with the same content give the same bytes. No engine and no dialect is used here.
"""

from gateway.transfer.dump import DumpComplete, DumpPosition, dump_lines, find_position
from gateway.transfer.lines import InvalidLine, kind_of
from gateway.transfer.load import ExistingProfiles, Loader, RowConflict

__all__ = [
    "DumpComplete",
    "DumpPosition",
    "ExistingProfiles",
    "InvalidLine",
    "Loader",
    "RowConflict",
    "dump_lines",
    "find_position",
    "kind_of",
]
