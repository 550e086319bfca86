"""XML Schema 1.0 of a body, out of the JSON Schema of the same body. Knows no dialect and no call.

The conventions are those of `media/xml.py`: the root is `<xml>`, a list is a run of elements of one name, `array` on
one of them says so where there is only one, `_` is an item of a list, and names are escaped as ISO/IEC 9075-14 does.

What XML Schema 1.0 cannot say is left to the gateway: which members exclude each other, how long a list may be, what a
text must look like. An object that takes names of its own lets them in unread; the members that it declares stand at
the top level, where a lax wildcard finds them, since a wildcard beside declared elements would be ambiguous.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lxml import etree

from gateway.media.xml_names import element_name

JSON: TypeAlias = dict[str, Any]

NAMELESS = ""
"""The member that an item of a list is, where it stands in an element of its own."""

XS = "{http://www.w3.org/2001/XMLSchema}"
NUMBER = r"([+\-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+\-]?[0-9]+)?)?"
BOOLEAN = "([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|0|1)?"
SIMPLE = {"integer": ("Number", NUMBER), "number": ("Number", NUMBER), "boolean": ("Boolean", BOOLEAN)}
"""How each type is spelled; emptiness is null."""


@dataclass(slots=True)
class Shape:
    """What a value may be, over all the alternatives of its schema."""

    types: set[str] = field(default_factory=set)
    words: list[str] = field(default_factory=list)
    """The texts that its enumerations admit."""
    is_free: bool = False
    """Whether a text may be another than these."""
    members: dict[str, list[JSON]] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    is_open: bool = False
    """Whether an object may have members that are not declared."""
    items: list[JSON] = field(default_factory=list)
    is_anything: bool = False

    @property
    def is_list(self) -> bool:
        return "array" in self.types

    @property
    def is_text(self) -> bool:
        return not self.is_anything and not self.types & {"object", "array"}


def xsd(name: str, schemas: Mapping[str, JSON]) -> bytes:
    """The XML Schema of the component of that name: a document whose root is `xml`."""
    return _Writer(schemas).document(name)


class _Writer:
    """One schema document, and the elements that stand at its top level."""

    def __init__(self, schemas: Mapping[str, JSON]) -> None:
        self._schemas = schemas
        self._named: dict[str, etree._Element] = {}
        self._enumerations: dict[tuple[str, ...], str] = {}

    def document(self, name: str) -> bytes:
        root = etree.Element(f"{XS}schema", nsmap={"xs": XS[1:-1]})
        body = _child(root, "element", name="xml")
        if text := self._schemas[name].get("description"):
            _child(_child(body, "annotation"), "documentation").text = text
        self._declare(body, self._shape([self._schemas[name]]), is_root=True)
        root.extend(self._named[each] for each in sorted(self._named))
        self._define_texts(root)
        etree.indent(root)
        return etree.tostring(root, xml_declaration=True, encoding="UTF-8")

    def _define_texts(self, root: etree._Element) -> None:
        """The types of elements that hold a text alone."""
        _define(root, "Text", "xs:string")
        for name, pattern in sorted(set(SIMPLE.values())):
            _child(_restricted(root, name), "pattern", value=pattern)
        for words, name in self._enumerations.items():
            restriction = _restricted(root, name)
            for word in words:
                _child(restriction, "enumeration", value=word)

    # --- reading JSON Schema ---

    def _shape(self, schemas: Iterable[JSON]) -> Shape:
        """What a value may be that any of the schemas describes; a list is a run of what its items are."""
        shape = Shape()
        for schema in schemas:
            for part, is_certain in self._parts(schema):
                _add(shape, part, is_certain)
        if shape.items:
            item = self._shape(shape.items)
            shape.types |= item.types
            shape.words += item.words
            shape.is_free |= item.is_free
            shape.is_open |= item.is_open
            for name, members in {**item.members, NAMELESS: shape.items}.items():
                shape.members.setdefault(name, []).extend(members)
        return shape

    def _parts(self, schema: JSON | bool, is_certain: bool = True) -> Iterator[tuple[JSON, bool]]:
        """The schema and all its alternatives, and whether each of them must hold."""
        if not isinstance(schema, dict):
            return
        yield schema, is_certain
        if "$ref" in schema:
            yield from self._parts(self._resolved(schema["$ref"]), is_certain)
        for each in schema.get("allOf", ()):
            yield from self._parts(each, is_certain)
        for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            yield from self._parts(each, False)

    def _resolved(self, reference: str) -> JSON:
        found: Any = self._schemas
        for step in reference.removeprefix("#/components/schemas/").split("/"):
            found = found[step]
        assert isinstance(found, dict)
        return found

    # --- writing XML Schema ---

    def _declare(self, element: etree._Element, shape: Shape, is_root: bool = False) -> None:
        """The type of an element of that shape."""
        if shape.is_text:
            element.set("type", self._text(shape))
            return
        type = _child(element, "complexType")
        self._declare_content(type, shape)
        if not is_root:
            _child(type, "attribute", name="array", type="xs:boolean")

    def _declare_content(self, type: etree._Element, shape: Shape) -> None:
        if shape.is_anything or shape.types - {"object", "array", "null"}:
            type.set("mixed", "true")
        if shape.is_anything or shape.is_open:
            self._declare_open(type, shape)
            return
        shapes = {name: self._shape(schemas) for name, schemas in shape.members.items()}
        repeats = shape.is_list or any(each.is_list for each in shapes.values())
        group = _child(type, "choice", minOccurs="0", maxOccurs="unbounded") if repeats else _child(type, "all")
        for name, each in shapes.items():
            member = _child(group, "element", name=_tag(name))
            if not repeats and (name not in shape.required or "null" in shape.types):
                member.set("minOccurs", "0")  # an empty element is null, which has no members
            self._declare(member, each)

    def _declare_open(self, type: etree._Element, shape: Shape) -> None:
        """Any elements; those that are declared are found at the top level."""
        for name, schemas in shape.members.items():
            self._name(name, schemas)
        any = _child(_child(type, "sequence"), "any", minOccurs="0", maxOccurs="unbounded", namespace="##local")
        any.set("processContents", "lax" if shape.members else "skip")

    def _text(self, shape: Shape) -> str:
        """The type of a text; an empty one is null, or a plain text."""
        if shape.words and not shape.is_free:
            words = tuple(dict.fromkeys((*shape.words, "")))
            return self._enumerations.setdefault(words, f"Enumeration{len(self._enumerations) + 1}")
        kinds = {SIMPLE[name][0] for name in shape.types if name in SIMPLE}
        return kinds.pop() if len(kinds) == 1 and "string" not in shape.types else "Text"

    def _name(self, name: str, schemas: list[JSON]) -> None:
        """Puts an element at the top level. Raises `ValueError` where another of its name means something else."""
        element = etree.Element(f"{XS}element", name=_tag(name))
        self._declare(element, self._shape(schemas))
        known = self._named.setdefault(name, element)
        if etree.tostring(known) != etree.tostring(element):
            raise ValueError(f"two elements {name} of an open object differ")


def _add(shape: Shape, schema: JSON, is_certain: bool) -> None:
    """Lays one more part of a schema over a shape."""
    words = schema.get("enum", [schema["const"]] if "const" in schema else [])
    types = schema.get("type", [_TYPES[type(word)] for word in words])
    types = {types} if isinstance(types, str) else set(types)
    shape.types |= types
    shape.words += [str(word) for word in words if word is not None]
    shape.is_free |= not words and bool(types - {"object", "array", "null"})
    shape.is_anything |= not schema.keys() & _SAYING
    shape.is_open |= (
        schema.get("additionalProperties", "object" in types and not schema.keys() & _SAYING_WHICH) is not False
    )
    shape.items += [schema["items"]] if "items" in schema else []
    shape.required |= set(schema.get("required", ())) if is_certain else set()
    for name, member in schema.get("properties", {}).items():
        if isinstance(member, dict):
            shape.members.setdefault(name, []).append(member if is_certain else {"anyOf": [member]})


_TYPES: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_SAYING = {"$ref", "allOf", "anyOf", "const", "enum", "oneOf", "properties", "required", "type"}
"""Keywords that say what a value may be; a schema without any of them admits all."""
_SAYING_WHICH = {"$ref", "allOf", "anyOf", "maxProperties", "oneOf", "properties", "propertyNames", "required"}
"""Keywords that say which members an object may have; one without any of them takes all."""


def _restricted(root: etree._Element, name: str) -> etree._Element:
    """The restriction of a text, whose white space does not count, that the type of this name admits."""
    _define(root, name, f"{name}Text")
    return _child(_child(root, "simpleType", name=f"{name}Text"), "restriction", base="xs:token")


def _define(root: etree._Element, name: str, base: str) -> None:
    extension = _child(_child(_child(root, "complexType", name=name), "simpleContent"), "extension", base=base)
    _child(extension, "attribute", name="array", type="xs:boolean")


def _tag(member: str) -> str:
    return element_name(member) or "_"


def _child(parent: etree._Element, tag: str, /, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{XS}{tag}", attributes)
