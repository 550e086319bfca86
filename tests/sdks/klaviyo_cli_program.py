"""PyPI klaviyo-cli, unchanged but for its constant of the vendor's address: run its commands, and print their names."""

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout

import klaviyo_cli.transport

klaviyo_cli.transport.KLAVIYO_BASE = os.environ["KLAVIYO_URL"]
os.environ["KLAVIYO_API_KEY"] = os.environ["KLAVIYO_KEY"]

from klaviyo_cli.cli import entry  # noqa: E402  # its modules copy the constant when they are imported

EMAIL = "cli@example.com"
done: list[str] = []


def run(name: str, *arguments: str) -> str:
    """Run a command, which must succeed, and return what it prints."""
    sys.argv = ["klaviyo", name, *arguments]
    out, errors = io.StringIO(), io.StringIO()
    status: object = 0
    with redirect_stdout(out), redirect_stderr(errors):
        try:
            entry()
        except SystemExit as end:
            status = end.code
    assert status in (0, None), f"{name}: {out.getvalue()}{errors.getvalue()}"
    done.append(name)
    return out.getvalue()


def call(method: str, path: str, *arguments: str) -> dict[str, object]:
    """Return the reply to a request by the pass-through command."""
    found: dict[str, object] = json.loads(run("api", method, path, *arguments))
    return found


def main() -> None:
    run("push-event", "--email", EMAIL, "--metric", "Viewed")
    assert EMAIL in run("get-profile", EMAIL, "--subscriptions")
    for name in ("list-audiences", "list-sizes", "segment-sizes", "list-metrics", "flows", "list-campaigns"):
        run(name)
    run("account-health")
    run("events", "--metric", "X")
    assert call("GET", "/api/accounts/")["data"]
    print(*dict.fromkeys(done))


main()
