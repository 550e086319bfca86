"""A whole store as a stream of lines (NDJSON), and back into any store.

One line is one row: `lines.py` says how it is spelled, `dumping.py` and `loading.py` go the two ways. The lines come in
one order, whatever the engine, so that two stores that hold the same give the same bytes. No engine and no dialect is
known here.
"""

from gateway.transfer.dump import Place, Whole, dumped, place_in
from gateway.transfer.lines import BadLine
from gateway.transfer.load import Differs, Existing, Loading

__all__ = ["BadLine", "Differs", "Existing", "Loading", "Place", "Whole", "dumped", "place_in"]
