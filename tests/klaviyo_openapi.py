"""Klaviyo's requests against its OpenAPI descriptions, where they are here, and against ours for all other calls."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from gateway.dialects import load_dialects
from gateway.openapi.files import contracts

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
VENDOR_FILES = ("klaviyo-profiles-openapi-2026-07-15.json", "klaviyo-more-openapi.json")

Validators = dict[tuple[str, re.Pattern[str]], jsonschema.Draft202012Validator | None]
"""The validator of a body by method and path; None for a call without one."""


def vendor_descriptions() -> list[dict[str, Any]]:
    files = [file for name in VENDOR_FILES if (file := REFERENCE / name).exists()]
    return [with_null(json.loads(file.read_text())) for file in files]


def with_null(schema: Any) -> Any:
    """Return a description with the nullable values of OpenAPI 3.0 as those of JSON Schema."""
    if isinstance(schema, list):
        return [with_null(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: with_null(each) for name, each in schema.items()}
    return {"anyOf": [found, {"type": "null"}]} if found.get("nullable") is True else found


@cache
def validators() -> Validators:
    """Return those of the vendor, before ours."""
    found: Validators = {}
    for description in [*vendor_descriptions(), json.loads(contracts(load_dialects({}))["openapi.json"])]:
        for key, validator in _validators(description):
            found.setdefault(key, validator)
    return found


def _validators(
    description: dict[str, Any],
) -> Iterator[tuple[tuple[str, re.Pattern[str]], jsonschema.Draft202012Validator | None]]:
    for path, methods in description["paths"].items():
        pattern = re.compile(re.sub(r"{\w+}", "[^/]+", path))
        for method, call in methods.items():
            if method not in ("get", "post", "put", "patch", "delete"):
                continue
            content = call.get("requestBody", {}).get("content", {})
            body = next((each for name, each in content.items() if "json" in name), None)
            schema = {**body["schema"], "components": description["components"]} if body else None
            yield (method.upper(), pattern), jsonschema.Draft202012Validator(schema) if schema else None


def assert_valid(method: str, path: str, body: Any) -> str:
    """Assert that a request is one of the descriptions. Return the pattern of its path."""
    for (each, pattern), validator in validators().items():
        if each == method and pattern.fullmatch(path):
            if validator is None:
                assert body is None, (method, path)
            else:
                validator.validate(body)
            return pattern.pattern
    raise AssertionError(f"{method} {path} is no call of Klaviyo")
