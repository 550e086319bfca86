"""Validation of parsed commands: types coerced, schema checked, invalid subscriptions skipped where requested."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.core.faults import Fault, Refusal
from gateway.core.model import Command, CommandType, Tree
from gateway.core.pointer import join_pointer, split_pointer
from gateway.dialects.protocol import ParsedCommand
from gateway.schema.compiled import CompiledSchema
from gateway.schema.number_faults import number_faults
from gateway.schema.validation import MAX_FAULTS

MAX_REQUEST_FAULTS = 2_000
"""Faults of one request, but at least one for each command. To find all faults in a large batch would take minutes."""


FURTHER_MATCHES = {
    CommandType.MERGE: "sources",
    CommandType.SPLIT: "destinations",
    CommandType.RELATION: "subjects",
}
"""By type of command, the member that lists further matches."""


def validate_commands(
    schema: CompiledSchema,
    commands: Sequence[ParsedCommand],
    type: CommandType,
    is_typed: bool,
    has_marks: bool = False,
) -> list[Command | Refusal]:
    """Return each command with its leaves coerced, or the refusal in its place.

    `has_marks`: whether the body has an `UnrepresentableNumber`. Otherwise commands are not searched for one.
    """
    if len(commands) == 1:
        return [validate_command(schema, commands[0], type, is_typed, MAX_FAULTS, has_marks)]
    max_faults = max(1, min(MAX_FAULTS, MAX_REQUEST_FAULTS // max(1, len(commands))))
    return [validate_command(schema, command, type, is_typed, max_faults, has_marks) for command in commands]


def validate_command(
    schema: CompiledSchema,
    parsed: ParsedCommand,
    type: CommandType,
    is_typed: bool,
    max_faults: int = MAX_FAULTS,
    has_marks: bool = False,
) -> Command | Refusal:
    """Return the command with its leaves coerced, or a refusal with at most `max_faults` faults."""
    if parsed.update is None:
        return Refusal(parsed.faults)
    if has_marks:
        return _validate_marked(schema, parsed, type, is_typed, max_faults)
    command, faults = schema.validate(parsed.update, type, is_typed, max_faults)
    if type in FURTHER_MATCHES:
        faults += _validate_further(schema, command, FURTHER_MATCHES[type], is_typed, max_faults)
    if not faults and not parsed.faults:
        return command
    return _without_invalid(schema, command, type, [*parsed.faults, *faults], parsed.faults, max_faults)


def _validate_further(
    schema: CompiledSchema, command: Command, name: str, is_typed: bool, max_faults: int
) -> list[Fault]:
    """Validate the further matches of a command, each as a search, and put the coerced ones into it."""
    matches, faults = command.get(name), list[Fault]()
    for index, match in enumerate(matches if isinstance(matches, list) else ()):
        search, found = schema.validate({"match": match}, CommandType.SEARCH, is_typed, max_faults)
        command[name][index] = search["match"]
        at = join_pointer(name, index)
        faults += [replace(each, pointer=at + each.pointer.removeprefix("/match")) for each in found]
    return faults


def _validate_marked(
    schema: CompiledSchema, parsed: ParsedCommand, type: CommandType, is_typed: bool, max_faults: int
) -> Command | Refusal:
    """Validate a command that may have an `UnrepresentableNumber`, which the validators do not support."""
    assert parsed.update is not None
    command = parsed.update if is_typed else schema.coerce(parsed.update, type)
    if marks := number_faults(command):
        if not _skips_invalid(command) or None in map(_subscription_index, marks):
            return Refusal([*parsed.faults, *marks][:max_faults])
        command = _without_subscriptions(command, set(map(_subscription_index, marks)))
    return _validate(schema, command, type, parsed.faults, max_faults)


def _without_subscriptions(command: Command, invalid: set[int | None]) -> Command:
    """Return the command with null, which is invalid, in the place of some subscriptions."""
    subscriptions = [None if index in invalid else each for index, each in enumerate(command["subscriptions"])]
    return {**command, "subscriptions": subscriptions}


def _validate(
    schema: CompiledSchema, command: Command, type: CommandType, found: Sequence[Fault], max_faults: int
) -> Command | Refusal:
    """Validate a command whose leaves have types, and of which some faults are known."""
    faults = [*found, *schema.validate(command, type, limit=max_faults)[1]]
    return _without_invalid(schema, command, type, faults, found, max_faults) if faults else command


def _without_invalid(
    schema: CompiledSchema,
    command: Command,
    type: CommandType,
    faults: list[Fault],
    found: Sequence[Fault],
    max_faults: int,
) -> Command | Refusal:
    """Return a command with these faults without its invalid subscriptions if it skips them, or a refusal.

    `found` are those of the faults that its dialect found.
    """
    valid = _valid_subscriptions(schema, command["subscriptions"], found) if _skips_invalid(command) else None
    if valid is None or len(valid) == len(command["subscriptions"]):
        return Refusal(faults[:max_faults])
    rest = [fault for fault in found if _subscription_index(fault) is None]
    return _validate(schema, {**command, "subscriptions": valid}, type, rest, max_faults)


def _valid_subscriptions(schema: CompiledSchema, subscriptions: Sequence[Tree], found: Sequence[Fault]) -> list[Tree]:
    """Return the subscriptions without faults. The faults of the others are not reported."""
    invalid = set(map(_subscription_index, found))
    return [
        each for index, each in enumerate(subscriptions) if index not in invalid and schema.accepts_subscription(each)
    ]


def _subscription_index(fault: Fault) -> int | None:
    """Return the index of the subscription that a fault belongs to, None if it belongs to no subscription."""
    match split_pointer(fault.pointer):
        case ["subscriptions", index, *_]:
            return int(index)
    return None


def _skips_invalid(command: Command) -> bool:
    """Whether the command has subscriptions and skips invalid ones."""
    options, subscriptions = command.get("options"), command.get("subscriptions")
    skips = isinstance(options, dict) and options.get("skip_invalid_subscriptions") is True
    return skips and isinstance(subscriptions, list)
