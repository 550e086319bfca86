"""The interface of a codec, and the size limits of a decoded tree, the same for every media type."""

from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.faults import Refusal, refuse
from gateway.core.model import Tree
from gateway.core.numbers import MAX_UNREPRESENTABLE_LENGTH, UnrepresentableNumber


@dataclass(frozen=True, slots=True)
class Bounds:
    """Upper limits of a decoded body.

    `depth`: levels of objects and lists. `nodes`: elements in total, the root included. `name`, `text`: characters of a
    member name and of a string. `items`: elements of one list.

    `small`: a body of at most so many bytes exceeds no limit but `depth`, because each element takes a byte.
    """

    depth: int = 32
    nodes: int = 10_000
    name: int = 4_096
    text: int = 1_048_576
    items: int = 10_000
    small: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "small", min(self.nodes, self.name, self.text, self.items))

    def check(self, tree: Tree, size: int) -> bool:
        """Validate the tree of a body of `size` bytes. Return whether it has a number that is no integer of 64 bits.

        Raises `Refusal`: too_deep, too_many_nodes, too_long.
        """
        # A name or text is never longer than its body, so a small body needs no such check.
        check_names, check_texts = size > self.name, size > self.text
        level, above, count, has_other_numbers = [tree], 0, 1, False
        while level:
            below: list[Tree] = []
            for value in level:
                kind = type(value)
                if kind is str:
                    if check_texts and len(value) > self.text:
                        raise refuse("too_long", f"a text may have at most {self.text} characters")
                elif kind is dict or kind is list:
                    if above == self.depth:
                        raise self.too_deep()
                    if kind is list:
                        if len(value) > self.items:
                            raise refuse("too_long", f"a list may have at most {self.items} elements")
                        below += value
                    else:
                        if check_names and value and max(map(len, value)) > self.name:
                            raise refuse("too_long", f"a name may have at most {self.name} characters")
                        below += value.values()
                elif kind is int:
                    if not -(2**63) <= value < 2**63:
                        has_other_numbers = True
                elif value is not None and kind is not bool:
                    has_other_numbers = True
            count += len(below)
            if count > self.nodes:
                raise self.too_many_nodes()
            level, above = below, above + 1
        return has_other_numbers

    def too_deep(self) -> Refusal:
        """The refusal, for a codec that detects the depth before it builds a tree."""
        return refuse("too_deep", f"the body is nested deeper than {self.depth} levels")

    def too_many_nodes(self) -> Refusal:
        """The refusal, for a codec that counts elements before it builds a tree."""
        return refuse("too_many_nodes", f"the body has more than {self.nodes} elements")


DEFAULT_BOUNDS = Bounds()


def mark_unrepresentable(text: str, unrepresentable: list[UnrepresentableNumber] | None) -> UnrepresentableNumber:
    """Return the mark of a number, and append it to the list.

    Raises `Refusal` malformed_body if there is no list, or if the number is longer than a mark may be.
    """
    mark = UnrepresentableNumber(text)
    if unrepresentable is None or len(text) > MAX_UNREPRESENTABLE_LENGTH:
        raise refuse("malformed_body", mark.detail)
    unrepresentable.append(mark)
    return mark


class Codec(Protocol):
    """Decoder and encoder of one media type, implemented by a module with these names.

    `media_type` is the type that `encode` produces. `is_typed`: whether decoded leaves have types. If not, every leaf
    is a string, and `gateway.schema` coerces it.
    """

    name: str
    media_type: str
    is_typed: bool

    def __hash__(self) -> int: ...

    def accepts(self, media_type: str) -> bool:
        """Whether this codec decodes a media type, given in lower case and without parameters."""
        ...

    def decode(
        self,
        body: bytes,
        charset: str | None = None,
        bounds: Bounds = DEFAULT_BOUNDS,
        unrepresentable: list[UnrepresentableNumber] | None = None,
    ) -> Tree:
        """Decode a body to a tree within the bounds.

        The list `unrepresentable` receives each number that is neither an integer of 64 bits nor a float; the tree has
        an `UnrepresentableNumber` in its place. Without the list such a number is malformed, and so is one of more than
        `MAX_UNREPRESENTABLE_LENGTH` characters.

        Raises `Refusal`: malformed_body, too_deep, too_many_nodes, too_long; unsupported_media_type for an unknown
        charset.
        """
        ...

    def encode(self, tree: Tree) -> bytes:
        """Encode a tree as UTF-8. Never fails for a tree that a decoder or a store returned."""
        ...

    def encode_exactly(self, tree: Tree) -> bytes:
        """Encode a tree so that a decoder returns the same one: with nulls, types and unrepresentable numbers.

        Raises `ValueError` for a name that the media type cannot have.
        """
        ...
