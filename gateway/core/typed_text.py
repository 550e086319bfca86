"""Text of XML whose `xsi:type` gives it a value of another type."""

from typing import Any, Self


class TypedText(str):
    """A text, and the value that it has where no type is declared. A declared type takes precedence over `xsi:type`."""

    __slots__ = ("value",)

    value: Any

    def __new__(cls, text: str, value: Any) -> Self:
        self = super().__new__(cls, text)
        self.value = value
        return self
