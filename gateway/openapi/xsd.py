"""Generates the XML Schema 1.0 of a body from its JSON Schema. Independent of dialects and calls.

The conventions are those of `media/xml.py`: the root is `<xml>`, a list is a run of elements of one name, `array` on
one of them marks a list of one, `_` is an item of a list, and names are escaped as ISO/IEC 9075-14 does.

XML Schema 1.0 cannot express which members exclude each other, the length of a list, or the pattern of a text; the
gateway validates these. An object with undeclared members accepts any. Its declared members are global elements, which
a lax wildcard finds, since a wildcard beside declared elements would be ambiguous.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lxml import etree

from gateway.media.xml_names import element_name

JSON: TypeAlias = dict[str, Any]

NAMELESS = ""
"""The name of an item of a list that has an element of its own."""

XS = "{http://www.w3.org/2001/XMLSchema}"
NUMBER = r"([+\-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+\-]?[0-9]+)?)?"
BOOLEAN = "([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|0|1)?"
SIMPLE = {"integer": ("Number", NUMBER), "number": ("Number", NUMBER), "boolean": ("Boolean", BOOLEAN)}
"""The XML type and pattern of each JSON type; an empty text is null."""


@dataclass(slots=True)
class Shape:
    """The values that a schema permits, over all its alternatives."""

    types: set[str] = field(default_factory=set)
    words: list[str] = field(default_factory=list)
    """The texts of its enumerations."""
    is_free: bool = False
    """Whether other texts are valid too."""
    members: dict[str, list[JSON]] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    is_open: bool = False
    """Whether an object may have undeclared members."""
    items: list[JSON] = field(default_factory=list)
    is_anything: bool = False

    @property
    def is_list(self) -> bool:
        return "array" in self.types

    @property
    def is_text(self) -> bool:
        return not self.is_anything and not self.types & {"object", "array"}


def xsd(name: str, schemas: Mapping[str, JSON]) -> bytes:
    """Return the XML Schema of a component, for documents whose root is `xml`."""
    return _SchemaDocument(schemas).document(name)


class _SchemaDocument:
    """One schema document with its global elements."""

    def __init__(self, schemas: Mapping[str, JSON]) -> None:
        self._schemas = schemas
        self._global_elements: dict[str, etree._Element] = {}
        self._enumerations: dict[tuple[str, ...], str] = {}

    def document(self, name: str) -> bytes:
        root = etree.Element(f"{XS}schema", nsmap={"xs": XS[1:-1]})
        body = _child(root, "element", name="xml")
        if text := self._schemas[name].get("description"):
            _child(_child(body, "annotation"), "documentation").text = text
        self._declare(body, self._shape([self._schemas[name]]), is_root=True)
        root.extend(self._global_elements[each] for each in sorted(self._global_elements))
        self._define_texts(root)
        etree.indent(root)
        return etree.tostring(root, xml_declaration=True, encoding="UTF-8")

    def _define_texts(self, root: etree._Element) -> None:
        """Define the types of elements that contain only text."""
        _define(root, "Text", "xs:string")
        for name, pattern in sorted(set(SIMPLE.values())):
            _child(_restricted(root, name), "pattern", value=pattern)
        for words, name in self._enumerations.items():
            restriction = _restricted(root, name)
            for word in words:
                _child(restriction, "enumeration", value=word)

    # --- from JSON Schema ---

    def _shape(self, schemas: Iterable[JSON]) -> Shape:
        """Return the values that any of the schemas permits; a list is a sequence of its items."""
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
        """Yield the schema and all its alternatives, and whether each of them is mandatory."""
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

    # --- to XML Schema ---

    def _declare(self, element: etree._Element, shape: Shape, is_root: bool = False) -> None:
        """Declare the type of an element. Any element but the root may be null, by `xsi:nil`."""
        if not is_root:
            element.set("nillable", "true")
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
        """Declare any elements; the declared ones are global."""
        for name, schemas in shape.members.items():
            self._add_global_element(name, schemas)
        any = _child(_child(type, "sequence"), "any", minOccurs="0", maxOccurs="unbounded", namespace="##local")
        any.set("processContents", "lax" if shape.members else "skip")

    def _text(self, shape: Shape) -> str:
        """Return the type of a text. An empty one is null, or an empty text."""
        if shape.words and not shape.is_free:
            words = tuple(dict.fromkeys((*shape.words, "")))
            return self._enumerations.setdefault(words, f"Enumeration{len(self._enumerations) + 1}")
        kinds = {SIMPLE[name][0] for name in shape.types if name in SIMPLE}
        return kinds.pop() if len(kinds) == 1 and "string" not in shape.types else "Text"

    def _add_global_element(self, name: str, schemas: list[JSON]) -> None:
        """Add a global element. Raises `ValueError` if another of its name has another type."""
        element = etree.Element(f"{XS}element", name=_tag(name))
        self._declare(element, self._shape(schemas))
        known = self._global_elements.setdefault(name, element)
        if etree.tostring(known) != etree.tostring(element):
            raise ValueError(f"two elements {name} of an open object differ")


def _add(shape: Shape, schema: JSON, is_certain: bool) -> None:
    """Add one more part of a schema to a shape."""
    words = schema.get("enum", [schema["const"]] if "const" in schema else [])
    types = schema.get("type", [_TYPES[type(word)] for word in words])
    types = {types} if isinstance(types, str) else set(types)
    shape.types |= types
    shape.words += [str(word) for word in words if word is not None]
    shape.is_free |= not words and bool(types - {"object", "array", "null"})
    shape.is_anything |= not schema.keys() & _VALUE_KEYWORDS
    others = schema.get("additionalProperties", "object" in types and not schema.keys() & _MEMBER_KEYWORDS)
    shape.is_open |= others not in (False, _NULL_ALONE)
    shape.items += [schema["items"]] if "items" in schema else []
    shape.required |= set(schema.get("required", ())) if is_certain else set()
    for name, member in schema.get("properties", {}).items():
        if isinstance(member, dict):
            shape.members.setdefault(name, []).append(member if is_certain else {"anyOf": [member]})


_TYPES: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_NULL_ALONE = {"type": "null"}
"""The schema of undeclared members without a value, of which an XML Schema says nothing."""
_VALUE_KEYWORDS = {"$ref", "allOf", "anyOf", "const", "enum", "oneOf", "properties", "required", "type"}
"""Keywords that restrict a value; a schema without any of them permits all."""
_MEMBER_KEYWORDS = {"$ref", "allOf", "anyOf", "maxProperties", "oneOf", "properties", "propertyNames", "required"}
"""Keywords that restrict the members of an object; a schema without any of them permits all."""


def _restricted(root: etree._Element, name: str) -> etree._Element:
    """Define a type of text with collapsed white space, and return its restriction."""
    _define(root, name, f"{name}Text")
    return _child(_child(root, "simpleType", name=f"{name}Text"), "restriction", base="xs:token")


def _define(root: etree._Element, name: str, base: str) -> None:
    extension = _child(_child(_child(root, "complexType", name=name), "simpleContent"), "extension", base=base)
    _child(extension, "attribute", name="array", type="xs:boolean")


def _tag(member: str) -> str:
    return element_name(member) or "_"


def _child(parent: etree._Element, tag: str, /, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{XS}{tag}", attributes)
