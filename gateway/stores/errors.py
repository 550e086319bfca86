"""The exceptions of every engine."""


class Unavailable(Exception):
    """The engine cannot respond now. Nothing of the change was applied, or the message says that this is unknown."""


class Unusable(Unavailable):
    """The engine cannot respond until an operator acts.

    The message names no path and no server: `/readyz` is public.
    """


class StoreNotFound(Unavailable):
    """There is no such store, and it was not to be created."""


class RegistryChanged(Exception):
    """The registry has another version than a change relies on. Nothing of the change was applied."""


class Duplicate(Exception):
    """The registry already has such a row."""


class Missing(Exception):
    """The registry has no such row."""
