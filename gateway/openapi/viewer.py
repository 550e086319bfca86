"""The reference page: Swagger UI from its package, over the gateway's own `openapi.json`. It contacts no other host."""

from collections.abc import Mapping
from html import escape
from importlib.resources import files

from gateway.optional_dependencies import MissingExtra, require_extra

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Profile Gateway</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="docs/favicon-32x32.png">
</head>
<body>
<div id="reference"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
PAGE_WITHOUT_VIEWER = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Profile Gateway</title></head>
<body><p>The reference page: {}. The description itself is <a href="openapi.json">openapi.json</a>.</p></body>
</html>
"""
# By default the page sends the document's address to a validator on another host.
START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page: nothing from another host, whatever the document contains."""

VIEWER_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")


def viewer_files() -> Mapping[str, bytes]:
    """Return the page and its files by path; without the extra `docs`, a page that explains how to install it."""
    try:
        require_extra("swagger_ui_bundle", "docs")
    except MissingExtra as error:
        return {"docs": PAGE_WITHOUT_VIEWER.format(escape(str(error))).encode()}
    [bundle] = (each for each in (files("swagger_ui_bundle") / "vendor").iterdir() if each.is_dir())
    bundled = {f"docs/{name}": (bundle / name).read_bytes() for name in VIEWER_FILES}
    return {"docs": PAGE.encode(), "docs/start.js": START.encode(), **bundled}
