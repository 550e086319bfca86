"""The exceptions of every engine."""


class Unavailable(Exception):
    """The engine cannot answer now. Nothing of the change was applied, or the message says that this is not known."""


class Duplicate(Exception):
    """The registry holds such a row already."""


class Missing(Exception):
    """The registry holds no such row."""
