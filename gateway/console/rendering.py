"""The templates. Every value is escaped: no template may mark one as safe, which a test holds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.core.times import format_time

FOLDER = Path(__file__).parent
STATIC_FILES = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files beside the pages, and their media types."""

HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""The headers of every page: nothing from another host, no script in a page, no frame around it, no copy of it."""


def static_file(name: str) -> bytes | None:
    """Return the content of a file beside the pages; None if there is no such file."""
    return (FOLDER / "static" / name).read_bytes() if name in STATIC_FILES else None


class Templates:
    """Renders pages by the names of their templates."""

    def __init__(self) -> None:
        loader = FileSystemLoader(FOLDER / "templates")
        self._environment = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.filters.update(pretty=pretty, moment=format_time)

    def render(self, template: str, values: Mapping[str, Any]) -> bytes:
        """Return a page as HTML."""
        return self._environment.get_template(f"{template}.html").render(values).encode()


def pretty(value: Any) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
