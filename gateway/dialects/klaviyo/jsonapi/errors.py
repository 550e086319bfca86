"""Error objects of JSON:API, and the document that contains them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

_ID_NAMESPACE = UUID("5b1a8f0e-6a2c-4d5b-9b1e-6f4c1d0c7a11")
"""The namespace of the errors' ids. Equal errors have equal ids, so that replies are reproducible."""


@dataclass(frozen=True, slots=True)
class ErrorType:
    """The status, code and title of a type of errors. `detail`, if there is one, is that of every error."""

    status: int
    code: str
    title: str
    detail: str = ""


def render_error(
    error_type: ErrorType, detail: str, source: Mapping[str, str], meta: Mapping[str, Any], subject: str = ""
) -> dict[str, Any]:
    """Render one error. `subject` distinguishes errors that are otherwise equal."""
    body = {"code": error_type.code, "title": error_type.title, "detail": detail, "source": source}
    id = uuid5(_ID_NAMESPACE, f"{error_type.code} {detail} {source} {subject}")
    return {"id": str(id), "status": error_type.status, **body, "links": {}, "meta": meta}


def render_envelope(errors: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Render the document of errors. Equal errors appear once."""
    return {"errors": list({error["id"]: error for error in errors}.values())}
