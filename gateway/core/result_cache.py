"""A dictionary that computes what it lacks: a look-up of a known text calls no Python code."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

CACHE_SIZE = 8_192
"""Results in one generation, of two. A phone number takes 12 µs to parse, an e-mail 21 µs, and 0.1 µs to look up."""

MAX_KEY_LENGTH = 256
"""Characters of a text whose result is kept. Longer ones would fill the memory."""


class ResultCache(dict[str, T]):
    """The recent results of a function of a text. Call its `__getitem__` in place of the function.

    A full generation, of `size` results, becomes the former one, from which results that are still used return.
    """

    def __init__(self, function: Callable[[str], T], size: int | None = None) -> None:
        self._function = function
        self._size = size or CACHE_SIZE
        self._former: dict[str, T] = {}

    def __missing__(self, text: str) -> T:
        if len(text) > MAX_KEY_LENGTH:
            return self._function(text)
        former = self._former
        result = former[text] if text in former else self._function(text)
        if len(self) >= self._size:
            self._former = self.copy()
            self.clear()
        self[text] = result
        return result
