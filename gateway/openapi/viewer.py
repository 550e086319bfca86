"""The reference page: Swagger UI, out of its package, over the gateway's own `openapi.json`. No other host is asked."""

from collections.abc import Mapping
from importlib.resources import files

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
# Without validatorUrl the page would have a host of its maker's look at the document.
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
"""The Content-Security-Policy of the page: nothing from elsewhere, whatever a document may hold."""

TAKEN = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")


def page() -> Mapping[str, bytes]:
    """The page and what it is made of, by path."""
    [bundle] = (each for each in (files("swagger_ui_bundle") / "vendor").iterdir() if each.is_dir())
    taken = {f"docs/{name}": (bundle / name).read_bytes() for name in TAKEN}
    return {"docs": PAGE.encode(), "docs/start.js": START.encode(), **taken}
