"""The facts about a profile's members that the core needs. `gateway.schema` compiles them from annotations."""

from collections.abc import Mapping

from msgspec import Struct


class IdentitySource(Struct, frozen=True):
    """A place whose value is an identity of this kind. `path` starts below the top-level member of the document."""

    kind: str
    path: tuple[str, ...] = ()
    is_list: bool = False
    """Whether each item of the value is an identity."""


class StrictestRule(Struct, frozen=True):
    """A place whose strictest value remains in a merge: the one later in `order`, in objects that of `member`."""

    path: tuple[str, ...]
    member: str | None
    order: tuple[str | int, ...]


class ProfileTables(Struct, frozen=True):
    """Tables of one database, compiled from `schemas/profile.schema.json` and the database's own fields."""

    sources: Mapping[str, tuple[IdentitySource, ...]]
    """Where identities come from, by top-level member of the document."""
    listed: Mapping[str, IdentitySource]
    """The sources of keys that are stored as identities are and say nothing of who a profile is, by member: a segment
    lists its members. Each item of a list is one, and each name of an object."""
    members: tuple[str, ...]
    """The top-level members that identities and such keys come from, except `custom`."""
    identifiers: tuple[str, ...]
    """The own fields (members of `custom`) that are identities."""
    tag_fields: tuple[str, ...]
    """Of them, the lists of tags: each tag is an identity that profiles share."""
    match_kinds: Mapping[str, str]
    """By name of a match value, the kind of identity that it is; in order of priority."""
    places: Mapping[str, tuple[str, ...]]
    """By kind of identity, its first place in the document."""
    list_places: Mapping[str, tuple[str, ...]]
    """By kind of identity, the first list in the document whose items are identities of the kind."""
    unique: frozenset[str]
    """Kinds of identity that no two profiles of a database are meant to share."""
    strictest: tuple[StrictestRule, ...]
    """Places whose strictest value remains in a merge, and in a load over a later profile."""
    global_status: tuple[str, ...]
    """The place of the status of a whole profile, which is one of a subscription's."""
    namespaces: frozenset[str]
    """Members that belong to one vendor; empty ones are removed."""
    declared_namespaces: tuple[str, ...]
    """Those whose members are all declared; empty objects in them are removed."""
