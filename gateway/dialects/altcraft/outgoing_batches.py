"""Imports and updates of several profiles as one batch of Altcraft, whose elements have a match value each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.core.model import Tree
from gateway.dialects.altcraft.calls import ROOT
from gateway.dialects.altcraft.requests import ELEMENT_MATCH_NAMES, MATCH_VALUES
from gateway.dialects.outgoing import OutgoingRequest, VendorAnswer

MAX_ELEMENTS = 100
"""The vendor takes 10,000, and 10 MB: so many elements rarely have as much."""

_BATCHES = {f"{ROOT}/profiles/{name}": f"{ROOT}/profiles/{name}_batch" for name in ("import", "update")}
_NOT_SHARED = frozenset({"data", *MATCH_VALUES})


def batch_key(request: OutgoingRequest) -> str:
    """Return the path of the batch and the parameters that its elements share; "" for a request that has no batch.

    A field with the name of a match value would be read as one.
    """
    if request.path not in _BATCHES or not _parameters(request)["data"].keys().isdisjoint(ELEMENT_MATCH_NAMES):
        return ""
    return f"{request.path} {sorted(_shared(request).items())}"


def join_requests(requests: Sequence[OutgoingRequest]) -> OutgoingRequest:
    """Return the batch of requests with the same key."""
    first = requests[0]
    elements = [_element(_parameters(each)) for each in requests]
    return OutgoingRequest("POST", _BATCHES[first.path], {**_shared(first), "data": elements})


def _shared(request: OutgoingRequest) -> dict[str, Any]:
    return {name: value for name, value in _parameters(request).items() if name not in _NOT_SHARED}


def _element(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: parameters[name] for name in MATCH_VALUES if name in parameters}, **parameters["data"]}


def _parameters(request: OutgoingRequest) -> Mapping[str, Any]:
    parameters: Mapping[str, Any] = request.tree or {}
    return parameters


def parse_rows(
    parse_answer: Callable[[int, Tree], VendorAnswer], tree: Tree, count: int
) -> Sequence[VendorAnswer] | None:
    """Return the answer to each element of a batch."""
    rows = tree.get("result") if isinstance(tree, dict) else None
    if not isinstance(rows, list) or len(rows) != count:
        return None
    return [parse_answer(200, row) for row in rows]
