"""The faults of numbers that neither an integer of 64 bits nor a float represents."""

from collections.abc import Iterator
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Command
from gateway.core.numbers import UnrepresentableNumber
from gateway.core.pointer import join_pointer
from gateway.schema.validation_view import point_to_field


def number_faults(command: Command) -> list[Fault]:
    """Return a fault for each unrepresentable number of a command. Pointers are into the command."""
    return [point_to_field(fault, command) for fault in _find(command, "")]


def _find(value: Any, at: str) -> Iterator[Fault]:
    if isinstance(value, UnrepresentableNumber):
        yield Fault("invalid_field", value.detail, at)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _find(member, at + join_pointer(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _find(item, at + join_pointer(index))
