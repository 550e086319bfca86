"""What a codec is, and the bounds that every decoded tree keeps, whatever it was decoded from.

Knows no media type. The bounds stand here once, so that a body means the same in all of them.
"""

from dataclasses import dataclass
from typing import Protocol

from gateway.core.excerpt import excerpt
from gateway.core.faults import Refusal, refuse
from gateway.core.model import Tree


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a decoded body may have at most.

    Levels of objects and lists; elements in all, the root among them; characters of a name and of a text; elements of
    one list.
    """

    depth: int = 32
    nodes: int = 10_000
    name: int = 4_096
    text: int = 1_048_576
    items: int = 10_000

    def check(self, tree: Tree, size: int) -> bool:
        """Whether the tree of a body of so many bytes holds a number that is no integer, of whichever type.

        Raises `Refusal`: too_deep, too_many_nodes, too_long, or malformed_body on a number that a store could not keep.
        """
        # In a body that is no larger than a bound nothing is: the usual one is spared the looks.
        has_names, has_texts = size > self.name, size > self.text
        level, above, count, has_floats = [tree], 0, 1, False
        while level:
            below: list[Tree] = []
            for value in level:
                kind = type(value)
                if kind is str:
                    if has_texts and len(value) > self.text:
                        raise refuse("too_long", f"a text may have at most {self.text} characters")
                elif kind is dict or kind is list:
                    if above == self.depth:
                        raise self.too_deep()
                    if kind is list:
                        if len(value) > self.items:
                            raise refuse("too_long", f"a list may have at most {self.items} elements")
                        below += value
                    else:
                        if has_names and value and max(map(len, value)) > self.name:
                            raise refuse("too_long", f"a name may have at most {self.name} characters")
                        below += value.values()
                elif kind is int and not -(2**63) <= value < 2**63:
                    raise refuse("malformed_body", f"the integer {excerpt(value)} is outside signed 64 bits")
                elif kind not in _PLAIN:
                    has_floats = True
            count += len(below)
            if count > self.nodes:
                raise self.too_many_nodes()
            level, above = below, above + 1
        return has_floats

    def too_deep(self) -> Refusal:
        """For a codec that sees the depth before there is a tree."""
        return refuse("too_deep", f"the body is nested deeper than {self.depth} levels")

    def too_many_nodes(self) -> Refusal:
        """For a codec that sees the number before there is a tree."""
        return refuse("too_many_nodes", f"the body has more than {self.nodes} elements")


STANDARD = Bounds()
_PLAIN = (int, bool, type(None))


class Codec(Protocol):
    """Decode and encode of one media type. A module with these names is one.

    `media_type` is what `encode` writes. `typed` tells whether decoded leaves carry their types; where not, every leaf
    is a string and schema.py reads it.
    """

    name: str
    media_type: str
    typed: bool

    def reads(self, media_type: str) -> bool:
        """Whether a lower-case media type without parameters is this codec's."""
        ...

    def decode(self, body: bytes, charset: str | None = None, bounds: Bounds = STANDARD) -> Tree:
        """The tree of a body, within the bounds.

        Raises `Refusal`: malformed_body, too_deep, too_many_nodes; unsupported_media_type on an unknown charset.
        """
        ...

    def encode(self, tree: Tree) -> bytes:
        """The bytes of a tree, in UTF-8; never fails on a tree that the gateway can hold."""
        ...
