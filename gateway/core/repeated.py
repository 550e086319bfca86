"""A list whose elements in XML have no `array` attribute."""

from typing import Any


class Repeated(list[Any]):
    """A list of a reply that XML writes as plain elements of one name, as some calls of a vendor's API do.

    An empty one has the attribute, like any other list: there is no other way to write it.
    """
