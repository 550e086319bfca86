"""What a start prints on standard error: version, store, the address of the documentation and examples to copy."""

import re
from collections.abc import Mapping

TOKEN_PLACEHOLDER = "TOKEN"

EXAMPLES: Mapping[str, str] = {
    "Altcraft, in XML": (
        "curl {url}/api/v1.1/profiles/import -H 'Content-Type: application/xml' -d '<xml><token>{token}</token>"
        "<db_id>1</db_id><email>olly@example.com</email><data><_fname>Olly</_fname></data></xml>'"
    ),
    "Altcraft, in JSON": (
        'curl {url}/api/v1.1/profiles/import -H \'Content-Type: application/json\' -d \'{{"token": "{token}",'
        ' "db_id": 1, "email": "olly@example.com", "data": {{"_fname": "Olly"}}}}\''
    ),
    "Courier": (
        "curl {url}/profiles/customer-1 -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json'"
        ' -d \'{{"profile": {{"email": "anna@example.com", "given_name": "Anna"}}}}\''
    ),
    "Klaviyo": (
        "curl {url}/api/profile-import -H 'Authorization: Klaviyo-API-Key {token}' -H 'revision: 2026-07-15'"
        ' -H \'Content-Type: application/json\' -d \'{{"data": {{"type": "profile", "attributes":'
        ' {{"email": "olly@example.com", "first_name": "Olly"}}}}}}\''
    ),
}
"""One update for each dialect, each a command of one line."""


def start_message(version: str, store: str, url: str, secret: str | None, has_given_token: bool) -> str:
    """Return the message. `secret` is that of a new token, None without one; it must only reach a terminal.

    `has_given_token` is whether the settings contain the first token.
    """
    lines = [
        f"Profile Gateway {version}",
        f"Store: {without_password(store)}",
        f"Documentation: {url}/docs",
        _token_line(secret, has_given_token),
        "",
    ]
    for name, command in EXAMPLES.items():
        lines += [f"{name}:", f"  {command.format(url=url, token=secret or TOKEN_PLACEHOLDER)}", ""]
    return "\n".join(lines)


def address(host: str, port: int) -> str:
    """Return the URL that reaches a host and port from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def without_password(store: str) -> str:
    """Return the URL of a store without its password."""
    return re.sub(r"(://[^:@/?]*:)[^@/]*(?=@)|([?&]password=)[^&]*", r"\1\2***", store)


def _token_line(secret: str | None, has_given_token: bool) -> str:
    if secret:
        return f"Token of database 1, printed only now: {secret}"
    if has_given_token:
        return "Token of database 1: the value of GATEWAY_BOOTSTRAP_TOKEN"
    return "To get a token, run: profile-gateway token create --database 1"
