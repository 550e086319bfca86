"""Altcraft's requests to canonical updates. Leaves stay as the media type gave them: schema/ reads and judges them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.matching import MODES
from gateway.core.model import Update
from gateway.core.pointer import pointer_to
from gateway.dialects import Asked, Incoming, Read
from gateway.dialects.altcraft.fields import FIELDS, OWNED, place

ACTIONS = ("set", "unset", "incr", "add", "delete", "upsert")
SEARCHING = (
    *("email", "email_profile", "email_sub", "phone", "phone_sub", "profile_id", "push_sub"),
    *("custom", "custom_sub", "email_phone", "email_phone_sub"),
)
DELETE_MODES = ("email", "phone", "profile_id", "custom")
SUBSCRIPTION_MEMBERS = (
    *(
        "resource_id",
        "channel",
        "status",
        "priority",
        "custom_fields",
        "cats",
        "date",
        "ip",
        "url",
        "email",
        "email_data",
    ),
    *("phone", "phone_data", "provider", "subscription_id", "cc_data", "field_name", "field_value"),
)
CONFLICT = {"email": "refuse", "custom": "refuse"}
OPTIONS = ("skip_triggers", "skip_invalid_subscriptions", "detect_geo")
SEGMENTS = {"add": "add_to_segments", "remove": "remove_from_segments"}
DEEPEST = 32
"""Levels that a submatch may lead down: what it makes is stored, and some hundreds of them could not be written."""


def one(create: bool, search: bool = True) -> Callable[[Incoming], Asked]:
    """Reads `update`, `import` (create) and `add` (create, nothing searched)."""

    def read(incoming: Incoming) -> Asked:
        top = incoming.tree
        data = _object(_demanded(top, "data"), "data")
        update, faults = _update({**_picked(data, OWN_MATCH_FIELDS), **top}, data, search, OWN_MATCH_FIELDS)
        return Asked(update["database"], [Read(_creating(update, create), faults)])

    return read


def many(create: bool, search: bool = True) -> Callable[[Incoming], Asked]:
    """Reads the batches of them; each element of `data` brings its own match value, in its fields or beside them."""

    def read(incoming: Incoming) -> Asked:
        top = {name: value for name, value in incoming.tree.items() if name not in MATCH_VALUES}
        elements = _list(_demanded(top, "data"), "data")
        if search and (faults := _misnamed(top, SEARCHING)):
            raise Refusal(faults)
        return Asked(_demanded(top, "db_id"), [_element(top, element, create, search) for element in elements])

    return read


def search(modes: Iterable[str] = SEARCHING) -> Callable[[Incoming], Asked]:
    """Reads `get` and `delete`: which profile, among these modes."""

    def read(incoming: Incoming) -> Asked:
        match, faults = _match(incoming.tree, {}, modes)
        update = {**_common(incoming.tree), "match": match}
        return Asked(update["database"], [Read(update, faults)])

    return read


def segment(action: str) -> Callable[[Incoming], Asked]:
    """Reads `segstatic/add` and `/remove`: one profile, one segment."""

    def read(incoming: Incoming) -> Asked:
        top = incoming.tree
        match, faults = _match(top, {}, default="profile_id")
        update = {**_common(top), "match": match, "segments": {action: [_demanded(top, "segment_id")]}}
        return Asked(update["database"], [Read(update, faults)])

    return read


def subscription(incoming: Incoming) -> Asked:
    """Reads `subscriptions/set`: the subscription's members stand at the top level, beside the profile's id."""
    top = incoming.tree
    match = {"mode": "profile_id", "values": {"profile_id": _demanded(top, "profile_id")}}
    _demanded(top, "resource_id")
    members = {name: top[name] for name in SUBSCRIPTION_MEMBERS if _given(top, name)}
    edit, faults = _subscription(members, "/subscriptions/0")
    update = {**_common(top), "match": match, "subscriptions": [edit]}
    return Asked(update["database"], [Read(update, faults)])


def description(incoming: Incoming) -> Asked:
    """Reads `databases/list`, `databases/fields_get` and `resources/fields_get`."""
    top = incoming.tree
    resource = next((top[name] for name in ("id", "resource_id") if _given(top, name)), None)
    narrowed = {} if resource is None else {"resource_id": resource}
    database = top["db_id"] if _given(top, "db_id") else None
    return Asked(database, [Read({"match": {"mode": "none", "values": {}, **narrowed}})])


# --- parameters ---


def _word(value: Any) -> Any:
    """A parameter's word without the white space that pretty-printed XML puts around it."""
    return value.strip() if isinstance(value, str) else value


def _given(top: Mapping[str, Any], name: str) -> bool:
    """Whether a parameter is there with a value; an empty element of XML is as good as none."""
    return top.get(name) not in (None, "")


def _demanded(top: Mapping[str, Any], name: str) -> Any:
    # `<data/>` is an empty object; for every other parameter emptiness is absence.
    if top.get(name) is None or (top[name] == "" and name != "data"):
        raise refuse("missing_parameter", "it is missing", f"/{name}")
    return top[name]


def _common(top: Mapping[str, Any]) -> Update:
    update: Update = {"database": _demanded(top, "db_id")}
    if options := {name: top[name] for name in OPTIONS if _given(top, name)}:
        update["options"] = options
    return update


def _object(value: Any, name: str) -> dict[str, Any]:
    if value == "":
        return {}
    if not isinstance(value, dict):
        raise refuse("invalid_parameter", "it must be an object", f"/{name}")
    return value


def _list(value: Any, name: str) -> list[Any]:
    """A list; one object alone, as XML writes a list of one, counts as such."""
    if value == "":
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise refuse("invalid_parameter", "it must be a list", f"/{name}")
    return value


# --- the profile of one update ---

OWN_MATCH_FIELDS = ("profile_id",)
"""Match fields that may stand in `data` and are never a field of the profile."""

ELEMENT_MATCH_FIELDS = (*OWN_MATCH_FIELDS, "phone", "provider", "subscription_id", "field_name", "field_value")
"""The same for an element of a batch, where its mode asks for them."""

MATCH_VALUES = ("email", "phone", "profile_id", "subscription_id", "field_value")
"""Match fields that say which one profile is meant: beside a batch they say nothing."""


def _element(top: Mapping[str, Any], element: Any, create: bool, search: bool) -> Read:
    try:
        data = _object(element, "data")
        update, faults = _update({**top, **_picked(data, ELEMENT_MATCH_FIELDS)}, data, search, ELEMENT_MATCH_FIELDS)
    except Refusal as refusal:
        return Read(None, refusal.faults)
    return Read(_creating(update, create), faults)


def _picked(data: Mapping[str, Any], match_fields: tuple[str, ...]) -> dict[str, Any]:
    """The match fields that stand inside `data`, to be read as if they stood beside it."""
    return {name: data[name] for name in match_fields if _given(data, name)}


def _creating(update: Update, create: bool) -> Update:
    """Whether the update may make a profile. Ids are the gateway's to give: by an unknown one nothing is made."""
    return {**update, "create": create and update["match"]["mode"] != "profile_id"}


def _update(
    top: Mapping[str, Any], data: dict[str, Any], search: bool, match_fields: tuple[str, ...]
) -> tuple[Update, list[Fault]]:
    update = {**_common(top), "conflict": CONFLICT}
    match, faults = _match(top, data) if search else ({"mode": "none", "values": {}}, [])
    taken = {name for name in match_fields if name in match["values"] or name in OWN_MATCH_FIELDS}
    written = {name: value for name, value in data.items() if name not in taken}
    segments = {action: top[name] for action, name in SEGMENTS.items() if _given(top, name)}
    if segments:
        update["segments"] = segments
    return {**update, "match": match, **_writing(written, faults)}, faults


def _writing(data: Mapping[str, Any], faults: list[Fault]) -> Update:
    """The merge patch, operations and subscriptions of `data`."""
    profile: dict[str, Any] = {}
    operations: list[dict[str, Any]] = []
    writing: Update = {}
    for name, value in data.items():
        if name == "subscriptions":
            if value not in (None, ""):
                writing["subscriptions"] = _subscriptions(value, faults)
        elif not name:
            faults.append(Fault("unknown_field", pointer="/profile/custom/"))
        elif name in OWNED:
            faults.append(Fault("read_only_field", pointer=pointer_to("profile", name)))
        else:
            _write(profile, operations, place(name), value, faults, "/profile")
    written = {"profile": profile, "operations": operations}
    return {**writing, **{name: value for name, value in written.items() if value}}


def _as_declared(path: tuple[str, ...], value: Any) -> Any:
    """Clients write a postal code as a number, and a single phone without its list."""
    if path == FIELDS["_postal_code"] and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if path == FIELDS["phones"] and isinstance(value, str) and value:
        return [value]
    return value


def _write(
    target: dict[str, Any],
    operations: list[dict[str, Any]],
    path: tuple[str, ...],
    value: Any,
    faults: list[Fault],
    at: str,
) -> None:
    """Writes one field: a plain value into the merge patch, an object or an update function as an operation."""
    try:
        action, value, argument = _function(value)
    except ValueError as reason:
        faults.append(Fault("invalid_function", str(reason), at + pointer_to(*path)))
        return
    if action == "set" and not isinstance(value, dict):
        for name in path[:-1]:
            target = target.setdefault(name, {})
        target[path[-1]] = _as_declared(path, value)
    else:
        operations.append({"function": action, "pointer": pointer_to(*path), "value": value, **argument})


def _function(value: Any) -> tuple[str, Any, dict[str, Any]]:
    """What a field's value says: (action, value, further argument). A plain value is set; unset sets null."""
    action = _word(value.get("action")) if isinstance(value, dict) else None
    if action not in ACTIONS:
        return "set", value, {}
    if action == "unset":
        return "set", None, {}
    if "value" not in value:
        raise ValueError(f"{action} needs a value")
    if action == "upsert":
        return action, value["value"], {"submatch": _submatch(value.get("submatch"))}
    single = action in ("add", "delete") and not isinstance(value["value"], list)
    return action, [value["value"]] if single else value["value"], {}


def _submatch(value: Any) -> str:
    submatch = _word(value)
    if not isinstance(submatch, str) or not all(submatch.split(".")):
        raise ValueError("upsert needs a submatch")
    if submatch.count(".") >= DEEPEST:
        raise ValueError(f"submatch leads deeper than {DEEPEST} levels")
    return submatch


# --- subscriptions ---


def _subscriptions(value: Any, faults: list[Fault]) -> Any:
    """Each subscription by its members; what is no list or no object is left for the check to refuse."""
    if isinstance(value, dict):
        edit, found = _subscription(value, "/subscriptions/0")
        faults += found
        return edit
    if not isinstance(value, list):
        return value
    edits = []
    for index, each in enumerate(value):
        edit, found = _subscription(each, pointer_to("subscriptions", index)) if isinstance(each, dict) else (each, [])
        edits.append(edit)
        faults += found
    return edits


def _subscription(members: Mapping[str, Any], at: str) -> tuple[dict[str, Any], list[Fault]]:
    edit = {name: value for name, value in members.items() if value != "" and name not in _READ_APART}
    for name, member in _DATA.items():
        if isinstance(members.get(name), dict):
            edit.setdefault(member, members[name].get(member))
    # Canonical form has a member of this name, Altcraft has none.
    faults = [Fault("unknown_field", pointer=f"{at}/operations")] if "operations" in members else []
    fields = members.get("custom_fields")
    if isinstance(fields, dict):
        operations: list[dict[str, Any]] = []
        for name, value in fields.items():
            _write(edit, operations, ("custom_fields", name), value, faults, at)
        edit |= {"operations": operations} if operations else {}
    elif fields not in (None, ""):
        edit["custom_fields"] = fields
    return edit, faults


_DATA = {"email_data": "email", "phone_data": "phone"}
"""Other spellings of an address, as some clients send it: an object that holds it."""

_READ_APART = {"custom_fields", "operations", *_DATA}


# --- matching ---


def _match(
    top: Mapping[str, Any],
    data: Mapping[str, Any],
    modes: Iterable[str] = SEARCHING,
    default: str = "email",
) -> tuple[dict[str, Any], list[Fault]]:
    """The match of a request: mode, the values it needs, and the resource that narrows it."""
    if faults := _misnamed(top, modes):
        return {"mode": "none", "values": {}}, faults
    mode = _word(top["matching"]) if _given(top, "matching") else "profile_id" if _given(top, "profile_id") else default
    values: dict[str, Any] = {}
    for name in dict.fromkeys(name for group in MODES[mode] for name in group):
        candidates = (top.get(name), *_fall_back(mode, name, top, data))
        values |= {name: next((value for value in candidates if value not in (None, "")), None)}
    narrowed = {"resource_id": top["resource_id"]} if _given(top, "resource_id") else {}
    return {"mode": mode, "values": {k: v for k, v in values.items() if v is not None}, **narrowed}, []


def _misnamed(top: Mapping[str, Any], modes: Iterable[str]) -> list[Fault]:
    """The fault of a `matching` that is none of these modes."""
    if not _given(top, "matching") or _word(top["matching"]) in modes:
        return []
    return [Fault("unknown_matching", f"it must be one of {', '.join(modes)}", "/match/mode")]


def _fall_back(mode: str, name: str, top: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Any]:
    """Where the profile's own data says what the match fields do not; in `_sub` modes subscriptions come first."""
    if name == "field_value" and mode == "custom":
        yield _plain(data.get(str(top.get("field_name"))))
    subscriptions = [each.get(name) for each in _channel(data, _CHANNELS.get(name, "")) if _fits(each, top)]
    own = _own_value(data, name)
    yield from (*subscriptions, own) if mode.endswith("_sub") else (own, *subscriptions)


def _fits(subscription: Mapping[str, Any], top: Mapping[str, Any]) -> bool:
    """Whether a subscription is of the resource, provider and field that the request names, as far as it names them."""
    return all(
        top.get(name) in (None, "", subscription.get(name)) for name in ("resource_id", "provider", "field_name")
    )


_CHANNELS = {
    "email": "email",
    "phone": "sms",
    "provider": "push",
    "subscription_id": "push",
    "field_name": "custom",
    "field_value": "custom",
}


def _own_value(data: Mapping[str, Any], name: str) -> str | None:
    value = _plain(data.get({"phone": "phones", "email": "email"}.get(name, "")))
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, str) else None


def _plain(value: Any) -> Any:
    """The plain value that a field is set to, by the function `set` or without one."""
    return value.get("value") if isinstance(value, dict) and value.get("action") == "set" else value


def _channel(data: Mapping[str, Any], channel: str) -> Iterator[dict[str, Any]]:
    subscriptions = data.get("subscriptions")
    for each in subscriptions if isinstance(subscriptions, list) else [subscriptions]:
        if isinstance(each, dict) and each.get("channel") == channel:
            yield _subscription(each, "")[0]
